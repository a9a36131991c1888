/**
 * A fleet as `xim chaos` sees it, as one small HTTP server: agents that can be suspended and
 * resumed, and an endpoint whose streams run on them, word by word. What is cut goes on elsewhere.
 * `npm run chaos` and `test/chaos.test.ts` have real ones; here each turn can be made to fail.
 */
import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { sleep, systemClock } from '../../lib/clock.ts';

export interface StagingAgent {
  id: string;
  name: string;
  state: 'active' | 'suspended';
  /** What runs there may end there. */
  drains: boolean;
  effective_tiers: string[];
  bound_endpoint_ids: string[] | null;
  in_flight: number;
}

export interface StagingFleet {
  origin: string;
  agents: StagingAgent[];
  /** Words of an answer, and the ms between two. */
  words: number;
  tickMs: number;
  /** Shared agents answer, too, whatever is suspended. */
  shared: boolean;
  /** Commands to agents in the order of their coming, e.g. `suspend one`. */
  commands: string[];
  /** Pages of agents that were asked for. */
  pages: number;
  /** Answers instead, where it gives a status; in its own time. */
  refuse: (command: string) => number | undefined | Promise<undefined>;
  close(): void;
}

const endpoint = {
  id: 'ep_1',
  slug: 'chat',
  tier: 'gpu_nvidia_shared',
  active: true,
  exclusive: false,
};

export const stagingAgent = (name: string, more: Partial<StagingAgent> = {}): StagingAgent => ({
  id: `id-${name}`,
  name,
  state: 'active',
  drains: false,
  effective_tiers: [endpoint.tier, 'self_hosted'],
  bound_endpoint_ids: null,
  in_flight: 0,
  ...more,
});

export async function openStagingFleet(agents: StagingAgent[]): Promise<StagingFleet> {
  const failures: unknown[] = [];
  const server = http.createServer((request, response) => {
    serve(fleet, request, response).catch((error: unknown) => failures.push(error));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const fleet: StagingFleet = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    agents,
    words: 40,
    tickMs: 2,
    shared: false,
    commands: [],
    pages: 0,
    refuse: () => undefined,
    close() {
      server.closeAllConnections();
      server.close();
      assert.deepEqual(failures, []);
    },
  };
  return fleet;
}

async function serve(
  fleet: StagingFleet,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  let text = '';
  for await (const part of request) text += String(part);
  const url = new URL(request.url ?? '', fleet.origin);
  const place = url.pathname.replace('/api/v1/projects/default', '');
  const [, , id, verb] = place.split('/');
  if (place === '/api/v1/status') return json(response, { running: 0 });
  if (place === '/endpoints') return json(response, wholePage([endpoint]));
  if (place.endsWith('/chat/completions')) return stream(fleet, response);
  if (place === '/agents') return json(response, pageOf(fleet, url.searchParams));
  const agent = fleet.agents.find((one) => one.id === id);
  assert.ok(agent !== undefined && verb !== undefined, place);
  const command = `${verb} ${agent.name}`;
  fleet.commands.push(command);
  const status = await fleet.refuse(command);
  if (status !== undefined) return json(response, { error: { message: 'no' } }, status);
  agent.drains = text.includes('"drain"');
  agent.state = verb === 'suspend' ? 'suspended' : 'active';
  json(response, agent);
}

function json(response: http.ServerResponse, body: object, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

const wholePage = (data: object[]): object => ({ data, has_more: false, next_cursor: null });

/** As the server does: 500 at most, whatever is asked for. */
function pageOf(fleet: StagingFleet, query: URLSearchParams): object {
  fleet.pages += 1;
  const state = query.get('state');
  const all = fleet.agents.filter((agent) => state === null || agent.state === state);
  const from = Number(query.get('after') ?? 0);
  const to = from + Math.min(Number(query.get('limit') ?? 50), 500);
  const has_more = to < all.length;
  return { data: all.slice(from, to), has_more, next_cursor: has_more ? String(to) : null };
}

async function stream(fleet: StagingFleet, response: http.ServerResponse): Promise<void> {
  let agent = freest(fleet);
  while (agent === undefined && !fleet.shared) {
    if (response.destroyed) return;
    await sleep(systemClock, 1);
    agent = freest(fleet);
  }
  const name = agent?.name ?? 'shared';
  response.writeHead(200, { 'content-type': 'text/event-stream', 'x-xim-agent': name });
  let resumed = 0;
  if (agent !== undefined) agent.in_flight += 1;
  for (let n = 0; n < fleet.words && !response.destroyed; n += 1) {
    if (agent?.state === 'suspended' && !agent.drains) {
      agent.in_flight -= 1;
      resumed += 1;
      agent = freest(fleet);
      if (agent !== undefined) agent.in_flight += 1;
    }
    say(response, { choices: [{ delta: { content: `word${n} ` } }] });
    await sleep(systemClock, fleet.tickMs);
  }
  if (agent !== undefined) agent.in_flight -= 1;
  const last = resumed === 0 ? {} : { x_xim_resumed: resumed };
  say(response, { choices: [{ delta: {}, finish_reason: 'stop' }], ...last });
  response.end('data: [DONE]\n\n');
}

const freest = ({ agents }: StagingFleet): StagingAgent | undefined =>
  agents
    .filter((one) => one.state === 'active' && one.effective_tiers.includes(endpoint.tier))
    .filter(({ bound_endpoint_ids: to }) => to === null || to.includes(endpoint.id))
    .toSorted((one, other) => one.in_flight - other.in_flight)[0];

function say(response: http.ServerResponse, chunk: object): void {
  response.write(`data: ${JSON.stringify(chunk)}\n\n`);
}
