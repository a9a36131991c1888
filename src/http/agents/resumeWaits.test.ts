import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentEntry, StoredAgentState } from '../../domain/directory.ts';
import type { DirectoryEvent } from '../../router/directory.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import { maxResumeWaits } from '../limits.ts';
import { createResumeWaits } from './resumeWaits.ts';

/** Waits over a directory in which every agent is suspended until `become` says otherwise. */
function rig() {
  const clock = new FakeClock();
  const states = new Map<string, StoredAgentState>();
  let tell: (event: DirectoryEvent) => void = () => {};
  /** What the store knows and the directory does not, until it is read. */
  const unread: (() => void)[] = [];
  const entryOf = (id: string): AgentEntry =>
    ({ state: states.get(id) ?? 'suspended' }) as AgentEntry;
  const stopping = new AbortController();
  const store = { hangs: false, isAway: false };
  const waits = createResumeWaits({
    directory: {
      agent: entryOf,
      onChange(listener) {
        tell = listener;
        return () => {};
      },
      async refresh() {
        await (store.hangs ? new Promise(() => {}) : Promise.resolve());
        if (store.isAway) return 'failed';
        for (const apply of unread.splice(0)) apply();
        return 'read';
      },
    },
    clock,
    stopping: stopping.signal,
  });
  const become = (id: string, state: StoredAgentState): void => {
    states.set(id, state);
    tell({ kind: 'agent', id, entry: entryOf(id) });
  };
  const hangUp = new AbortController();
  const released = (agentId: string, signal = hangUp.signal): Promise<boolean> =>
    waits.released({ agentId, waitMs: 10_000, signal });
  const commit = (apply: () => void): void => void unread.push(apply);
  return { clock, become, commit, released, hangUp, stopping, store };
}

test('a wait outlives its agent’s resume, its time, its caller or the server', async () => {
  const { clock, become, released } = rig();
  const one = released('a');
  await clock.advanceAsync(9_000);
  become('b', 'enrolled');
  become('a', 'enrolled');
  assert.equal(await one, true);

  const late = rig();
  const never = late.released('a');
  await late.clock.advanceAsync(10_000);
  assert.equal(await never, false);

  const gone = rig();
  const left = gone.released('a');
  await gone.clock.advanceAsync(1);
  gone.hangUp.abort();
  assert.equal(await left, false);

  const ending = rig();
  const stopped = ending.released('a');
  await ending.clock.advanceAsync(1);
  ending.stopping.abort();
  assert.equal(await stopped, false);
});

test('an agent that is removed while it waits hears of it ten seconds later', async () => {
  const { clock, become, released } = rig();
  const removed = released('a');
  await clock.advanceAsync(1);
  become('a', 'dead');
  assert.equal(await removed, true);
});

test('a resume between the store’s word and the wait is missed', async () => {
  const { become, commit, released } = rig();
  commit(() => become('a', 'enrolled'));
  assert.equal(await released('a'), true);
});

test('a suspension that the directory has not read yet counts as a resume', async () => {
  const { clock, become, commit, released } = rig();
  become('a', 'enrolled');
  commit(() => become('a', 'suspended'));
  const wait = released('a');
  await clock.advanceAsync(10_000);
  assert.equal(await wait, false);
});

test('two waits of one agent are both held, or the later one is ended by the earlier', async () => {
  const { clock, become, released } = rig();
  const first = released('a');
  await clock.advanceAsync(5_000);
  const second = released('a');
  assert.equal(await first, false);
  await clock.advanceAsync(9_000);
  become('a', 'enrolled');
  assert.equal(await second, true);
});

test('more agents wait than the bound, or one that left still counts', async () => {
  const { clock, released, hangUp } = rig();
  const held = Array.from({ length: maxResumeWaits }, (_, at) => released(`agent-${at}`));
  await clock.advanceAsync(1);
  assert.equal(await released('one too many'), false);
  hangUp.abort();
  await Promise.all(held);
  const next = released('one more', new AbortController().signal);
  const said = await Promise.race([next, clock.advanceAsync(1).then(() => 'held')]);
  assert.equal(said, 'held');
  await clock.advanceAsync(10_000);
  assert.equal(await next, false);
});

test('a wait outlives its time, its caller or the server while the store hangs', async () => {
  for (const how of ['time', 'caller', 'server', 'resume'] as const) {
    const { clock, become, released, hangUp, stopping, store } = rig();
    store.hangs = true;
    const wait = released('a');
    await clock.advanceAsync(1);
    if (how === 'time') await clock.advanceAsync(10_000);
    if (how === 'caller') hangUp.abort();
    if (how === 'server') stopping.abort();
    if (how === 'resume') become('a', 'enrolled');
    assert.equal(await wait, how === 'resume');
    assert.equal(clock.pendingTimers, 0);
  }
});

test('a suspension that cannot be read counts as a resume, or as one for good', async () => {
  const { clock, become, commit, released, store } = rig();
  become('a', 'enrolled');
  store.isAway = true;
  commit(() => become('a', 'suspended'));
  const held = released('a');
  const said = await Promise.race([held, clock.advanceAsync(9_999).then(() => 'held')]);
  assert.equal(said, 'held');
  await clock.advanceAsync(1);
  assert.equal(await held, false);

  const next = released('a');
  await clock.advanceAsync(1_000);
  become('a', 'enrolled');
  assert.equal(await next, true);
});
