/** What those are told for whom the queue has no room. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import {
  agentEntry,
  endpointEntry,
  projectEntry,
  routedRequest,
} from '../../testing/router/directoryEntries.ts';
import { unlimitedTiers } from '../../testing/router/unlimitedTiers.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import type { SchedulerEvent, UntimedEvent } from '../scheduler/schedulerEvents.ts';

/** How long one answer takes, and its first byte. */
const serviceMs = 3500;
const firstByteMs = 100;

interface Coming {
  id: string;
  project?: string;
  bodyBytes?: number;
  afterMs?: number | null;
}

/** Room for so many that wait; own agents of `a` may serve so many of it at once. */
function rig({ maxRequests, ownConcurrent }: { maxRequests: number; ownConcurrent: number }) {
  const tiers = unlimitedTiers();
  const self_hosted = { ...tiers.self_hosted, concurrentPerProject: ownConcurrent };
  const config = { tiers: { ...tiers, self_hosted }, waiting: { maxRequests } };
  const scheduler = new Scheduler({ random: seededRandom(1), config });
  let nowMs = 1000;
  const send = (event: UntimedEvent) =>
    scheduler.handle({ ...event, atMs: nowMs } as SchedulerEvent);
  const pass = (ms: number): void => {
    nowMs += ms;
    send({ type: 'tick' });
  };
  const agent = (id: string, of: { projectId?: string; slots: number }): void => {
    const { projectId = null, slots } = of;
    send({ type: 'agent', entry: agentEntry({ id, projectId }) });
    send({ type: 'join', agentId: id, nonce: 'n' });
    const instances = [{ instance: 'i', modelId: 'model_a', slots, abilities: [] }];
    send({ type: 'grant', agentId: id, nonce: 'n', instances });
  };
  const arrive = ({ id, project = 'a', bodyBytes = 4000, afterMs = null }: Coming) => {
    const fallback = { enabled: afterMs !== null, afterMs: afterMs ?? 0, tier: null };
    // No shared agent serves `b`, `c` and others without it.
    const of = project === 'a' ? { fallback } : {};
    const endpoint = endpointEntry({ id: `ep_${project}_${afterMs}`, projectId: project, ...of });
    const from = { project: projectEntry({ id: project }), endpoint };
    return send({ type: 'arrive', request: routedRequest({ id, bodyBytes, ...from }) })[0];
  };
  /** It takes as long as all others; `false`: it goes on. */
  const serve = (coming: Coming, ends = true): void => {
    const dispatch = arrive(coming);
    assert.ok(dispatch?.type === 'dispatch', coming.id);
    const { claim } = dispatch;
    pass(firstByteMs);
    send({ type: 'first_byte', claim });
    if (!ends) return;
    pass(serviceMs - firstByteMs);
    send({ type: 'end', claim, slotFree: true, usage: { input: 1000, output: 100 } });
  };
  const told = (id: string): number | null => {
    const waiting = scheduler.queue.get(id);
    assert.ok(waiting, id);
    return scheduler.fleet.outlook.of(waiting, nowMs).etaMs;
  };
  return { scheduler, agent, arrive, serve, told, pass };
}

/** What the last one is told, if there is room for it and if there is not. */
function both(
  last: Coming,
  how: { waiting: number; ownConcurrent?: number },
  prepare: (run: ReturnType<typeof rig>) => void,
): { refused: number; waits: number } {
  const { waiting: maxRequests, ownConcurrent = 1000 } = how;
  const [full, roomy] = [0, 1].map((more) => {
    const run = rig({ maxRequests: maxRequests + more, ownConcurrent });
    prepare(run);
    assert.equal(run.scheduler.counts().waiting, maxRequests);
    return run;
  });
  assert.ok(full !== undefined && roomy !== undefined);
  const reject = full.arrive(last);
  assert.ok(reject?.type === 'reject' && reject.verdict.kind === 'queue_full');
  roomy.arrive(last);
  const [refused, waits] = [reject.verdict.expectedWaitMs, roomy.told(last.id)];
  assert.ok(refused !== null && waits !== null);
  return { refused, waits };
}

const isNear = (refused: number, waits: number, what = ''): void => {
  const text = `${what}: ${refused} for who is refused, ${waits} for who waits`;
  assert.ok(Math.abs(refused - waits) <= 0.2 * Math.max(waits, 50), text);
};

test('who finds the queue full is not told of the limit that it would wait for', () => {
  const how = { waiting: 20, ownConcurrent: 4 };
  const { refused, waits } = both({ id: 'last' }, how, ({ agent, serve, arrive }) => {
    agent('one', { projectId: 'a', slots: 40 });
    for (let n = 0; n < 20; n += 1) serve({ id: `learned${n}` });
    for (let n = 0; n < 4; n += 1) serve({ id: `runs${n}` }, false);
    for (let n = 0; n < 20; n += 1) arrive({ id: `waits${n}` });
  });
  assert.ok(waits > 15_000, `${waits}`);
  isNear(refused, waits);
});

test('who finds the queue full is told of shared agents that are not open to it yet', () => {
  const last = { id: 'last', afterMs: 8000 };
  const { refused, waits } = both(last, { waiting: 6 }, ({ agent, serve, arrive }) => {
    agent('own', { projectId: 'a', slots: 1 });
    for (let n = 0; n < 20; n += 1) serve({ id: `learned${n}` });
    serve({ id: 'runs' }, false);
    for (let n = 0; n < 6; n += 1) arrive({ id: `waits${n}` });
    agent('shared', { slots: 1 });
  });
  assert.equal(waits, 8000);
  assert.equal(refused, waits);
});

test('who finds the queue full of another project’s requests is told to wait for all these', () => {
  const last = { id: 'last', project: 'light' };
  const { refused, waits } = both(last, { waiting: 40 }, ({ agent, serve, arrive }) => {
    agent('shared', { slots: 1 });
    for (let n = 0; n < 20; n += 1) serve({ id: `heavy${n}`, project: 'heavy' });
    for (let n = 0; n < 20; n += 1) serve({ id: `light${n}`, project: 'light' });
    serve({ id: 'runs', project: 'heavy' }, false);
    for (let n = 0; n < 40; n += 1) arrive({ id: `waits${n}`, project: 'heavy' });
  });
  assert.ok(waits < 5 * serviceMs, `${waits}`);
  isNear(refused, waits);
});

test('who finds the queue full is told to wait for those whom it would go before', () => {
  for (const bodyBytes of [400, 4000, 40_000]) {
    const last = { id: 'last', project: 'b', bodyBytes };
    const { refused, waits } = both(last, { waiting: 50 }, ({ agent, serve, arrive }) => {
      agent('shared', { slots: 1 });
      for (let n = 0; n < 20; n += 1) serve({ id: `learned${n}`, project: 'c' });
      serve({ id: 'runs', project: 'c' }, false);
      for (let n = 0; n < 10; n += 1) arrive({ id: `b${n}`, project: 'b', bodyBytes: 8000 });
      for (let n = 0; n < 40; n += 1) arrive({ id: `c${n}`, project: 'c' });
    });
    isNear(refused, waits, `${bodyBytes}`);
  }
});
