/** `xim status`: is the server well, and what does it serve. */
import type { AgentAnswer } from '../../api/control/agents.ts';
import type { EndpointAnswer } from '../../api/control/endpoints.ts';
import type { ListAnswer } from '../../api/control/lists.ts';
import type { StatusAnswer } from '../../api/control/status.ts';
import { agentsTable } from './agentCommands.ts';
import { defineCommand } from '../command.ts';
import { projectOptions } from '../serverContext.ts';
import { ago, textTable } from '../textTable.ts';
import { print, withServer } from '../connection/withServer.ts';

interface Overview {
  status: StatusAnswer;
  endpoints: EndpointAnswer[];
  agents: AgentAnswer[];
}

export const status = defineCommand({
  words: ['status'],
  summary: 'Show the server, its endpoints and its agents',
  options: projectOptions,
  run: (context, { options }) =>
    withServer({ name: 'status', context, options }, async (session) => {
      const scope = session.scopePath(false);
      const [answer, endpoints, agents] = await Promise.all([
        session.call<StatusAnswer>({ method: 'GET', path: '/api/v1/status' }),
        session.call<ListAnswer<EndpointAnswer>>({
          method: 'GET',
          path: `${scope}/endpoints?limit=500`,
        }),
        session.call<ListAnswer<AgentAnswer>>({ method: 'GET', path: `${scope}/agents?limit=500` }),
      ]);
      const overview = { status: answer, endpoints: endpoints.data, agents: agents.data };
      print({ context, options }, overview, (shown) => overviewText(shown, context.clock.now()));
    }),
});

function overviewText({ status: server, endpoints, agents }: Overview, nowMs: number): string {
  const started = ago(server.started_at, nowMs) ?? '';
  return [
    `XIM ${server.version} at ${server.base_url}, started ${started}.\n`,
    `${server.running} running, ${server.waiting} waiting; journal ${server.journal}.\n`,
    ...server.notices.map((notice) => `Note: ${notice.message}\n`),
    '\n',
    endpoints.length === 0 ? 'No endpoints.\n' : endpointsTable(endpoints),
    '\n',
    agents.length === 0 ? withoutAgents(endpoints) : agentsTable(agents, nowMs),
  ].join('');
}

function withoutAgents(endpoints: readonly EndpointAnswer[]): string {
  const shared = endpoints.some((endpoint) => endpoint.agents_ready > 0);
  const who = shared ? 'No agents of your own; shared ones serve.' : 'No agents of your own.';
  return `${who} Join one with: xim join-keys create\n`;
}

function endpointsTable(endpoints: readonly EndpointAnswer[]): string {
  return textTable(
    ['ENDPOINT', 'TIER', 'MODEL', 'READY', 'RUNNING', 'WAITING', 'BASE URL'],
    endpoints.map((endpoint) => [
      endpoint.slug,
      endpoint.tier,
      endpoint.model,
      endpoint.active ? String(endpoint.agents_ready) : 'inactive',
      String(endpoint.running),
      String(endpoint.waiting),
      endpoint.base_url,
    ]),
  );
}
