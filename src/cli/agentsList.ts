/** `xim agents list`: own agents and the shared ones that the project may use. */
import type { AgentAnswer, AgentModelAnswer } from '../api/control/agents.ts';
import type { ListAnswer } from '../api/control/lists.ts';
import { defineCommand } from './command.ts';
import { projectOptions } from './serverContext.ts';
import { ago, milliseconds, textTable } from './textTable.ts';
import { print, withServer } from './connection/withServer.ts';

/** Shared agents are the platform's: a project sees what they serve, not them. */
const noAgents =
  'No agents of your own; shared ones serve what your endpoints let them (see: xim status).\n' +
  'Join one with: xim join-keys create\n';

export const agentsList = defineCommand({
  words: ['agents', 'list'],
  summary: 'List agents, their state and what they serve',
  options: projectOptions,
  run: (context, { options }) =>
    withServer({ name: 'agents list', context, options }, async (session) => {
      const path = `${session.scopePath(false)}/agents?limit=500`;
      const agents = await session.call<ListAnswer<AgentAnswer>>({ method: 'GET', path });
      print({ context, options }, agents, ({ data }) =>
        data.length === 0 ? noAgents : agentsTable(data, context.clock.now()),
      );
    }),
});

/** One line an agent. */
export function agentsTable(agents: readonly AgentAnswer[], nowMs: number): string {
  return textTable(
    ['NAME', 'STATE', 'OWNER', 'REGION', 'LOAD', 'RTT', 'SEEN', 'TIERS', 'MODELS'],
    agents.map((agent) => [
      agent.name,
      agent.state,
      agent.ownership,
      agent.region,
      agent.in_flight === null ? null : `${agent.in_flight}/${agent.slots ?? '–'}`,
      milliseconds(agent.rtt_ms),
      agent.state === 'active' ? 'now' : ago(agent.last_seen_at, nowMs),
      agent.effective_tiers.join(',') || null,
      agent.models.map(modelText).join(', ') || null,
    ]),
  );
}

function modelText(model: AgentModelAnswer): string {
  if (model.state === 'fetching' && model.received_bytes !== null && model.total_bytes) {
    const percent = Math.floor((100 * model.received_bytes) / model.total_bytes);
    return `${model.name} (fetching ${percent} %)`;
  }
  return `${model.name} (${model.state}${model.error === null ? '' : `: ${model.error}`})`;
}
