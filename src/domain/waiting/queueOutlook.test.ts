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
import type { TierTable } from '../tiers/tiers.ts';
import { outlookMs } from '../limits.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import type { Dispatch, SchedulerEvent, UntimedEvent } from '../scheduler/schedulerEvents.ts';

/** One agent, shared or of a project's own, and a hand on the time. */
function rig(how: { tiers?: TierTable; slots?: number; owner?: string } = {}) {
  const { tiers = unlimitedTiers(), slots = 1, owner = null } = how;
  const config = { tiers };
  const scheduler = new Scheduler({ random: seededRandom(1), config });
  let nowMs = 1000;
  const send = (event: UntimedEvent): Dispatch[] =>
    scheduler
      .handle({ ...event, atMs: nowMs } as SchedulerEvent)
      .filter((command) => command.type === 'dispatch');
  const join = (agentId: string, projectId: string | null, abilities: string[] = []): void => {
    send({ type: 'agent', entry: agentEntry({ id: agentId, projectId }) });
    send({ type: 'join', agentId, nonce: 'n1' });
    const instances = [{ instance: 'i1', modelId: 'model_a', slots, abilities }];
    send({ type: 'grant', agentId, nonce: 'n1', instances });
  };
  join('one', owner, ['tools']);
  const arrive = (
    id: string,
    project = 'a',
    over: Parameters<typeof endpointEntry>[0] = {},
    abilities: string[] = [],
  ): Dispatch | undefined => {
    const of = projectEntry({ id: project, slug: project });
    const endpoint = endpointEntry(over);
    return send({
      type: 'arrive',
      request: routedRequest({ id, project: of, endpoint, abilities }),
    })[0];
  };
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  const expectation = (id: string) => {
    const waiting = scheduler.queue.get(id);
    assert.ok(waiting, id);
    return scheduler.fleet.outlook.of(waiting, nowMs);
  };
  const places = (ids: readonly string[]): number[] => ids.map((id) => expectation(id).position);
  return { scheduler, send, join, arrive, pass, expectation, places };
}

test('a place in line is another than that in which requests are served', () => {
  const { arrive, pass, places, send } = rig();
  let running = arrive('first')?.claim ?? 0;
  for (const id of ['a1', 'a2', 'a3', 'a4']) arrive(id, 'a');
  for (const id of ['b1', 'b2']) arrive(id, 'b');
  pass(outlookMs);
  const ids = ['a1', 'a2', 'a3', 'a4', 'b1', 'b2'];
  const foreseen = places(ids);
  assert.equal(new Set(foreseen).size, ids.length);
  assert.equal(Math.max(...foreseen), ids.length);
  const byForesight = ids.toSorted(
    (one, other) => (foreseen[ids.indexOf(one)] ?? 0) - (foreseen[ids.indexOf(other)] ?? 0),
  );
  const served: string[] = [];
  while (served.length < ids.length) {
    const [next] = send({ type: 'end', claim: running, slotFree: true });
    assert.ok(next);
    served.push(next.requestId);
    running = next.claim;
  }
  // What they will be charged for is not what they are charged when nobody takes any time.
  assert.equal(served[0], byForesight[0]);
  for (const project of ['a', 'b']) {
    const of = (some: string[]): string[] => some.filter((id) => id.startsWith(project));
    assert.deepEqual(of(served), of(byForesight));
  }
  // One project does not stand behind all of another that came earlier.
  assert.ok((foreseen[ids.indexOf('b1')] ?? 9) <= 2);
});

test('one who has just come is told the place of somebody else', () => {
  const { arrive, places } = rig();
  arrive('first');
  arrive('a1');
  assert.deepEqual(places(['a1']), [1]);
  arrive('a2');
  arrive('a3');
  // The look is not older than the moment, so they are at its end.
  assert.deepEqual(places(['a2']), [2]);
  arrive('b1', 'b');
  assert.ok((places(['b1'])[0] ?? 9) <= 2);
});

test('a time is foretold of which nothing is known, or none once it is', () => {
  const { arrive, pass, expectation, send } = rig();
  const first = arrive('first');
  arrive('a1');
  assert.deepEqual(expectation('a1'), { position: 1, etaMs: null });
  pass(4000);
  const [second] = send({ type: 'end', claim: first?.claim ?? 0, slotFree: true });
  assert.equal(second?.requestId, 'a1');
  for (const id of ['a2', 'a3', 'a4']) arrive(id);
  // Four seconds each, by the only one that there was.
  assert.ok(Math.abs((expectation('a2').etaMs ?? 0) - 4000) < 500);
  pass(outlookMs);
  const [a2, a4] = [expectation('a2').etaMs ?? 0, expectation('a4').etaMs ?? 0];
  assert.ok(Math.abs(a4 - a2 - 8000) < 500, `${a2} ${a4}`);
});

test('who waits behind a long answer is told for all its time that it ends in a moment', () => {
  const { arrive, pass, send, expectation } = rig();
  const short = arrive('short')?.claim ?? 0;
  pass(300);
  send({ type: 'end', claim: short, slotFree: true });
  const long = arrive('long')?.claim ?? 0;
  arrive('next');
  pass(outlookMs);
  const soon = expectation('next').etaMs ?? 0;
  assert.ok(soon > 0 && soon < 2 * outlookMs + 300, String(soon));
  pass(20_000);
  assert.ok((expectation('next').etaMs ?? 0) >= 20_000);
  send({ type: 'end', claim: long, slotFree: true });
  arrive('last');
  pass(outlookMs);
  assert.ok((expectation('last').etaMs ?? Infinity) < 20_000, 'it has moved on');
});

test('an agent that went away is still waited for', () => {
  const { arrive, pass, expectation, send } = rig();
  const first = arrive('first');
  arrive('a1');
  pass(4000);
  send({ type: 'end', claim: first?.claim ?? 0, slotFree: true });
  arrive('a2');
  send({ type: 'leave', agentId: 'one', nonce: 'n1' });
  pass(outlookMs);
  assert.deepEqual(expectation('a2'), { position: 1, etaMs: null });
});

test('who waits for a limit of its own project is told that its turn is now', () => {
  const concurrentPerProject = 1;
  const tiers = unlimitedTiers();
  const limited = { ...tiers, self_hosted: { ...tiers.self_hosted, concurrentPerProject } };
  const run = rig({ tiers: limited, slots: 4, owner: 'a' });
  const { arrive, pass, send, expectation } = run;
  const first = arrive('first')?.claim ?? 0;
  arrive('held');
  assert.equal(expectation('held').etaMs, null, 'nothing is known of how long one takes');
  pass(5000);
  send({ type: 'end', claim: first, slotFree: true });
  arrive('next');
  pass(outlookMs);
  assert.equal(expectation('next').etaMs, 5000 - outlookMs);
});

test('who may go to a free shared agent in a second is told the time of its own ones', () => {
  const { arrive, join, pass, send, expectation } = rig({ owner: 'a' });
  const fallback = { enabled: true, afterMs: 1_000, tier: null };
  const own = { fallback: { ...fallback, enabled: false } };
  const first = arrive('first', 'a', own)?.claim ?? 0;
  pass(14_000);
  send({ type: 'end', claim: first, slotFree: true });
  arrive('second', 'a', own);
  arrive('alone', 'a', { fallback });
  assert.equal(expectation('alone').etaMs, 14_000, 'nobody is shared yet');
  join('other', null);
  pass(400);
  arrive('closed', 'a', own);
  arrive('never', 'a', { fallback, minimumIsolation: 'process' });
  assert.equal(expectation('alone').etaMs, 600);
  assert.ok((expectation('closed').etaMs ?? 0) > 10_000, 'fallback is off for it');
  assert.ok((expectation('never').etaMs ?? 0) > 10_000, 'no shared agent is isolated enough');
});

test('who may go to shared agents later is told that somebody is free there', () => {
  const { arrive, join, pass, send, expectation } = rig({ owner: 'a' });
  const fallback = { enabled: true, afterMs: 1_000, tier: null };
  join('other', null);
  const first = arrive('first', 'b')?.claim ?? 0;
  pass(9_000);
  const own = arrive('own', 'a', { fallback })?.claim ?? 0;
  assert.equal(send({ type: 'end', claim: first, slotFree: true }).length, 0);
  pass(20_000);
  send({ type: 'end', claim: own, slotFree: true });
  arrive('busy', 'b');
  arrive('own again', 'a', { fallback });
  arrive('next', 'a', { fallback });
  pass(100);
  assert.ok((expectation('next').etaMs ?? 0) > 5_000, 'all are at work');
});

test('who waits for agents that are suspended, or cannot serve it, is told a time', () => {
  const { arrive, pass, send, expectation } = rig({ owner: 'a' });
  const closed = { fallback: { enabled: false, afterMs: 0, tier: null } };
  const first = arrive('first', 'a', closed)?.claim ?? 0;
  pass(3_000);
  send({ type: 'end', claim: first, slotFree: true });
  arrive('running', 'a', closed);
  arrive('isolated', 'a', { ...closed, id: 'ep_b', minimumIsolation: 'microvm' });
  arrive('waits', 'a', closed);
  pass(outlookMs);
  assert.ok((expectation('waits').etaMs ?? 0) > 0);
  const entry = agentEntry({ id: 'one', projectId: 'a', state: 'suspended', stopMode: 'drain' });
  send({ type: 'agent', entry });
  pass(outlookMs);
  assert.equal(expectation('waits').etaMs, null);
});

test('who needs what no free shared agent can is promised one', () => {
  const { arrive, join, pass, send, expectation, scheduler } = rig({ owner: 'a' });
  const fallback = { enabled: true, afterMs: 1_000, tier: null };
  const first = arrive('first', 'a', { fallback })?.claim ?? 0;
  pass(14_000);
  send({ type: 'end', claim: first, slotFree: true });
  arrive('running', 'a', { fallback });
  arrive('plain', 'a', { fallback });
  arrive('with tools', 'a', { fallback }, ['tools']);
  join('other', null);
  pass(400);
  assert.equal(scheduler.queue.size, 2);
  assert.equal(expectation('plain').etaMs, 600);
  assert.notEqual(expectation('with tools').etaMs, 600);
});
