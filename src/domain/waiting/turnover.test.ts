/** What those are told who wait for a limit of requests that run at once. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { endpointEntry } from '../../testing/router/directoryEntries.ts';
import { limitRig } from '../../testing/router/limitRig.ts';
import type { Dispatch } from '../scheduler/schedulerEvents.ts';

const usage = { input: 10, output: 90 };

/** Regular answers: the first byte comes after 100 ms, the last one 3.4 s later. */
function regular(options: { isOwn: boolean; answers?: number }) {
  const { isOwn, answers = 40 } = options;
  const rig = limitRig({ concurrentPerProject: 10 }, { ownConcurrent: 10 });
  rig.agent({ id: 'one', projectId: isOwn ? 'proj_a' : null }, 40);
  const { send, pass, arrive, end } = rig;
  const serve = (one: Dispatch | undefined): Dispatch[] => {
    pass(100);
    send({ type: 'first_byte', claim: one?.claim ?? 0 });
    pass(3400);
    return end(one, usage).dispatches;
  };
  for (let n = 0; n < answers; n += 1) serve(arrive().dispatches[0]);
  /** Ten that run, one begun every 100 ms: the last one now. */
  const running: { endsInMs: number }[] = [];
  for (let n = 0; n < 10; n += 1) {
    const [dispatch] = arrive().dispatches;
    assert.ok(dispatch);
    running.push({ endsInMs: 2500 + n * 100 });
    pass(100);
    send({ type: 'first_byte', claim: dispatch.claim });
  }
  const told = (id: string): number | null => {
    const waiting = rig.scheduler.queue.get(id);
    assert.ok(waiting, id);
    return rig.scheduler.fleet.outlook.of(waiting, rig.now()).etaMs;
  };
  return { ...rig, running, told };
}

const isNear = (told: number | null, ms: number): void =>
  assert.ok(told !== null && told > ms / 2 && told < ms * 2, `${told} told, ${ms} waited`);

for (const answers of [1, 40]) {
  test(`who is held by its project’s own requests is told a moment: after ${answers}`, () => {
    const { arrive, told, running, pass } = regular({ isOwn: true, answers });
    for (let n = 0; n < 25; n += 1) arrive();
    const ids = Array.from({ length: 25 }, (_, at) => `r${answers + 11 + at}`);
    const waits = (at: number): number => {
      const beginsMs = running[at % 10]?.endsInMs ?? 0;
      return beginsMs + Math.floor(at / 10) * 3500;
    };
    for (const [at, id] of ids.entries()) isNear(told(id), waits(at));
    pass(1500);
    for (const [at, id] of ids.entries()) isNear(told(id), waits(at) - 1500);
  });
}

test('who is refused for its project’s own requests is told to come back at once', () => {
  const { arrive, pass } = regular({ isOwn: false });
  const wait = (): number | null => {
    const verdict = arrive().rejects[0]?.verdict;
    assert.ok(verdict?.kind === 'concurrency_exceeded');
    return verdict.expectedWaitMs;
  };
  isNear(wait(), 2500);
  pass(1600);
  isNear(wait(), 900);
});

test('who waited in vain for its project’s own requests is told to come back at once', () => {
  const { arrive, pass } = regular({ isOwn: true });
  arrive({ endpoint: endpointEntry({ queueTimeoutMs: 1000 }) });
  const verdict = pass(1000).rejects[0]?.verdict;
  assert.ok(verdict?.kind === 'queue_timeout');
  assert.equal(verdict.heldBy?.limit, 'concurrent_requests');
  isNear(verdict.expectedWaitMs, 1500);
});

test('who waits for a stream that broke and waits, too, is told that it is a moment', () => {
  const { agent, arrive, send, pass, scheduler, now } = limitRig({}, { ownConcurrent: 1 });
  agent({ id: 'one', projectId: 'proj_a' }, 1);
  const [first] = arrive().dispatches;
  assert.ok(first);
  // One has no slot, the other cannot go on with a stream.
  agent({ id: 'two', projectId: 'proj_a' }, 0);
  agent({ id: 'three', projectId: 'proj_a' }, 1);
  send({ type: 'first_byte', claim: first.claim });
  pass(5000);
  const resume = { abilities: ['continue'] as const, delivered: 5 };
  send({ type: 'failed', claim: first.claim, slotFree: true, health: 'bad', resume });
  arrive();
  const waiting = scheduler.queue.get('r2');
  assert.ok(waiting);
  assert.equal(waiting.heldBackBy.size, 1, 'by what the stream keeps');
  assert.notEqual(scheduler.fleet.outlook.of(waiting, now()).etaMs, 0);
});
