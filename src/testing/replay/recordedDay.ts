/**
 * A day in short: the real router and its links, fake agents before modelled engines, and requests
 * that come as a trace says. What comes of it is taken from the receipts, as an operator would.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Machine } from '../../sim/fleetSpec.ts';
import { blockTokens, kvTokens, maxSequences } from '../../sim/limits.ts';
import type { TraceRequest } from '../../sim/traces/traceRequest.ts';
import { endpointEntry, modelEntry, projectEntry } from '../router/directoryEntries.ts';
import { RouterHarness, settle, until } from '../router/routerHarness.ts';
import { unlimitedTiers } from '../router/unlimitedTiers.ts';
import { ModelledAgent } from './modelledAgent.ts';

const bytesPerToken = 4;
const blockBytes = blockTokens * bytesPerToken;

export interface RecordedDay {
  /** The export of its receipts. */
  lines: string;
  /** As clients saw it, in ms. */
  meanTtftMs: number;
  completed: number;
}

/** @param pass Waits, or moves the clock, for so many ms. */
export async function recordDay(options: {
  clock: Clock;
  machines: readonly Machine[];
  requests: readonly TraceRequest[];
  pass: (ms: number) => Promise<void>;
}): Promise<RecordedDay> {
  const { clock, machines, requests, pass } = options;
  const tiers = unlimitedTiers({ concurrentPerProject: 100_000 });
  const harness = new RouterHarness({ clock, config: { tiers } });
  await harness.router.start();
  const byId = new Map<string, TraceRequest>();
  const asked = (requestId: string): TraceRequest | undefined => byId.get(requestId);
  const engines = machines.map(({ slowness }) => new ModelledAgent({ clock, slowness, asked }));
  for (const [at, { script }] of engines.entries()) {
    const { agent, identity } = harness.link({ script, entry: { name: `machine-${at}` } });
    await until(() => agent.isLinked);
    const engine = {
      instance: 'engine-1',
      modelId: 'model_a',
      engine: 'fake',
      abilities: ['chat'],
    };
    agent.grant([{ ...engine, slots: maxSequences, holdsTokens: kvTokens }]);
    await until(() => harness.router.agent(identity.agentId)?.slots === maxSequences);
  }
  const startMs = clock.monotonic();
  const results = [];
  for (const [at, request] of requests.entries()) {
    const waitMs = startMs + request.atMs - clock.monotonic();
    if (waitMs > 0) await pass(waitMs);
    results.push(submitOne(harness, byId, { request, requestId: `req_${at}` }));
  }
  const all = Promise.all(results);
  let isOver = false;
  void all.then(() => (isOver = true));
  while (!isOver) await pass(1_000);
  await settle();
  let lines = '';
  for await (const piece of harness.router.receiptView.exported({ fromMs: 0, toMs: Infinity })) {
    lines += piece;
  }
  for (const engine of engines) engine.stop();
  const times = (await all).flatMap((ttftMs) => ttftMs ?? []);
  const stopping = harness.router.stop();
  await pass(1_000);
  await stopping;
  const meanTtftMs = times.reduce((sum, ms) => sum + ms, 0) / times.length;
  return { lines, meanTtftMs, completed: times.length };
}

/** When its first byte came, in ms; null: it has none. */
async function submitOne(
  harness: RouterHarness,
  byId: Map<string, TraceRequest>,
  { request, requestId }: { request: TraceRequest; requestId: string },
): Promise<number | null> {
  byId.set(requestId, request);
  const { tenant } = request;
  const project = projectEntry({ id: `proj_${tenant}`, slug: tenant, name: tenant });
  const endpoint = endpointEntry({ id: `ep_${tenant}`, projectId: project.id });
  const body = bodyOf(request, requestId);
  const { clock } = harness;
  const arrivedAtMs = clock.monotonic();
  const wish = { requestId, project, endpoint, model: modelEntry(), body, arrivedAtMs };
  const { client, result } = harness.submit(wish);
  let ttftMs: number | null = null;
  client.onWrite = () => {
    ttftMs ??= clock.monotonic() - arrivedAtMs;
  };
  const { outcome } = await result;
  byId.delete(requestId);
  return outcome === 'completed' ? ttftMs : null;
}

/** As many bytes as the trace has tokens, four each; equal blocks are equal text. */
function bodyOf({ inputTokens, blocks }: TraceRequest, requestId: string): Buffer {
  const own = Math.max(0, Math.ceil(inputTokens / blockTokens) - blocks.length);
  const rest = Array.from({ length: own }, (_, n) => `${requestId}/${n}`);
  const names = [...blocks.map(String), ...rest];
  const text = names.map((name) => `${name} `.padEnd(blockBytes, 'lorem ipsum ')).join('');
  const content = text.slice(0, inputTokens * bytesPerToken);
  return Buffer.from(JSON.stringify({ messages: [{ role: 'user', content }] }));
}
