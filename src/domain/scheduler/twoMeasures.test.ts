/** Requests that own or shared agents may serve, where these count other tokens of one text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { agentEntry, endpointEntry, routedRequest } from '../../testing/router/directoryEntries.ts';
import { unlimitedTiers } from '../../testing/router/unlimitedTiers.ts';
import type { AgentEntry } from '../directory.ts';
import type { RoutedRequest } from '../agents/matching.ts';
import { tierTable, type TierTable } from '../tiers/tiers.ts';
import { Scheduler } from './scheduler.ts';
import type { Dispatch, SchedulerEvent, UntimedEvent } from './schedulerEvents.ts';
import type { Usage } from './schedulerState.ts';

/** Bytes of a token as each of them counts. */
const bytesOf = { own: 1, shared: 10 };
/** What computing a token takes with either, in ms. */
const msPerToken = { own: 0.05, shared: 0.5 };
type Server = keyof typeof bytesOf;

const ownAgent = { id: 'own', projectId: 'proj_a' };
const sharedAgent = { id: 'shared', projectId: null };

/** A scheduler with the time in hand. */
function rig(tiers: TierTable = unlimitedTiers()) {
  const scheduler = new Scheduler({ random: seededRandom(1), config: { tiers } });
  let nowMs = 1000;
  let arrived = 0;
  const send = (event: UntimedEvent): Dispatch[] => {
    const commands = scheduler.handle({ ...event, atMs: nowMs } as SchedulerEvent);
    assert.deepEqual(scheduler.audit().claimable, [], 'W1');
    return commands.filter((one): one is Dispatch => one.type === 'dispatch');
  };
  const grant = (agentId: string, slots: number): Dispatch[] => {
    const instances = [{ instance: 'i1', modelId: 'model_a', slots, abilities: [] }];
    return send({ type: 'grant', agentId, nonce: 'n', instances });
  };
  const join = (entry: Partial<AgentEntry>): void => {
    const whole = agentEntry(entry);
    send({ type: 'agent', entry: whole });
    send({ type: 'join', agentId: whole.id, nonce: 'n' });
    grant(whole.id, 0);
  };
  const arrive = (bodyBytes: number, over: Partial<RoutedRequest> = {}): Dispatch[] => {
    arrived += 1;
    const request = routedRequest({ id: `r${arrived}`, bodyBytes, maxTokens: 10, ...over });
    return send({ type: 'arrive', request });
  };
  const pass = (ms: number): Dispatch[] => {
    nowMs += ms;
    return send({ type: 'tick' });
  };
  const served = ({ claim }: Dispatch, how: { ms: number; input: number; output?: number }) => {
    nowMs += how.ms;
    const { input, output = 10 } = how;
    const next = send({ type: 'first_byte', claim });
    return [...next, ...send({ type: 'end', claim, slotFree: true, usage: { input, output } })];
  };
  /** An agent serves so many prompts of an endpoint, each after the other, and grants no more. */
  const teach = (who: Server, endpointId: string, rounds = 60): void => {
    grant(who, 1);
    for (let n = 0; n < rounds; n += 1) {
      const bodyBytes = 1000 + 400 * (n % 9);
      const endpoint = endpointEntry({ id: endpointId });
      const [dispatch] = arrive(bodyBytes, { endpoint });
      assert.equal(dispatch?.agentId, who);
      const input = bodyBytes / bytesOf[who];
      served(dispatch, { ms: 20 + input * msPerToken[who], input });
    }
    grant(who, 0);
  };
  return { scheduler, send, grant, join, arrive, pass, served, teach };
}

for (const [what, input, output] of [
  ['tiny', 1, 1],
  ['huge', 1124, 4096],
] as const) {
  test(`an own agent that tells of ${what} usage changes what is set aside for shared ones`, () => {
    const limits = { tokensPerMinute: 20_000, requestsPerMinute: null };
    const { grant, join, arrive, served } = rig(tierTable({ cpu_amd_optimized: limits }));
    join(ownAgent);
    join(sharedAgent);
    grant('own', 1);
    for (let n = 0; n < 60; n += 1) {
      const [dispatch] = arrive(100, { maxTokens: null });
      assert.equal(dispatch?.agentId, 'own');
      served(dispatch, { ms: 10, input, output });
    }
    grant('own', 0);
    grant('shared', 1);
    const [dispatch] = arrive(8000, { maxTokens: null });
    assert.equal(dispatch?.agentId, 'shared');
    assert.equal(dispatch.work.prompt, 2000, 'four bytes each, as before anything is known');
    assert.equal(dispatch.work.answer, 256);
    assert.equal(dispatch.rates.tokens?.remaining, 30_000 - 2000 - 4096);
  });
}

test('what shared agents tell changes what own ones are taken to do', () => {
  const { grant, join, arrive, teach } = rig();
  join(ownAgent);
  join(sharedAgent);
  teach('shared', 'ep_a');
  grant('own', 1);
  const [dispatch] = arrive(8000);
  assert.deepEqual([dispatch?.agentId, dispatch?.work.prompt], ['own', 2000]);
});

test('the key of a project is held to what its own agents tell while shared ones serve', () => {
  const quota = { requestsPerMinute: null, tokensPerMinute: 10_000, tokensPerDay: 10_000 };
  const key = { id: 'key_a', quota };
  // Of 1,010 each nine fit, whatever the own agent told, and the tenth is a debt where it was to
  // wait for that one.
  const fitting = [8990, 7980, 6970, 5960, 4950, 3940, 2930, 1920, 910];
  for (const [own, left] of [
    ['gone', fitting],
    ['busy', [...fitting, 0]],
  ] as const) {
    const { scheduler, send, grant, join, arrive, served } = rig();
    join(ownAgent);
    grant('own', 1);
    for (let n = 0; n < 60; n += 1) {
      const [dispatch] = arrive(4000);
      if (dispatch !== undefined) served(dispatch, { ms: 10, input: 1, output: 1 });
    }
    grant('own', 0);
    if (own === 'gone') send({ type: 'leave', agentId: 'own', nonce: 'n' });
    join(sharedAgent);
    grant('shared', 100);
    const begun = Array.from({ length: 12 }, () => arrive(400, { key, maxTokens: 910 })).flat();
    assert.deepEqual(
      begun.map(({ rates }) => rates.tokens?.remaining),
      left,
    );
    assert.equal(scheduler.counts().waiting, 0);
    for (const { claim } of begun) {
      send({ type: 'end', claim, slotFree: true, usage: { input: 100, output: 10 } });
    }
    const [next] = arrive(400, { key, maxTokens: 910 });
    const spent = left.length * 110;
    assert.equal(next?.rates.tokens?.remaining, 10_000 - spent - 112, 'shared ones have told');
  }
});

test('the next one of a pool is the one with the fewest tokens as others count', () => {
  for (const [who, expected] of [
    ['own', 'b'],
    ['shared', 'a'],
  ] as const) {
    const { grant, join, arrive, teach } = rig();
    join(ownAgent);
    join(sharedAgent);
    teach('shared', 'ep_a');
    teach('shared', 'ep_b');
    // Of the other endpoint nothing is known with own agents: four bytes each.
    teach('own', 'ep_a');
    // 4,000 and 1,500 tokens to an own agent, 400 and 600 to a shared one.
    arrive(4000, { id: 'a', endpoint: endpointEntry({ id: 'ep_a' }) });
    arrive(6000, { id: 'b', endpoint: endpointEntry({ id: 'ep_b' }) });
    const [next] = grant(who, 1);
    assert.deepEqual([next?.agentId, next?.requestId], [who, expected]);
  }
});

test('a pool is full, or open, by tokens that others count', () => {
  const { grant, join, arrive, pass, teach } = rig();
  join(ownAgent);
  join(sharedAgent);
  teach('shared', 'ep_a');
  teach('own', 'ep_a');
  // 4,000 tokens of 0.05 ms, and 400 of 0.5 ms: 200 ms of work on either.
  grant('own', 9);
  grant('shared', 9);
  const begun = Array.from({ length: 6 }, () => arrive(4000)).flat();
  const found = begun.map(({ agentId, work }) => [agentId, Math.round(work.prompt / 100)]);
  const [own, shared] = [
    ['own', 40],
    ['shared', 4],
  ];
  assert.deepEqual(found, [own, own, own, shared, shared, shared]);
  for (const { work } of begun) assert.ok(Math.abs(work.prefillMs - 200) < 40);
  assert.deepEqual(arrive(4000), [], 'both have more than half a second to do');
  const [next] = pass(250);
  assert.equal(next?.agentId, 'own');
});

test('a place in line is foreseen by tokens that others count', () => {
  for (const [who, expected] of [
    ['own', { a: 2, b: 1 }],
    ['shared', { a: 1, b: 2 }],
  ] as const) {
    const { scheduler, grant, join, arrive, pass, teach } = rig();
    join(ownAgent);
    join(sharedAgent);
    teach('shared', 'ep_a');
    teach('shared', 'ep_b');
    teach('own', 'ep_a');
    grant(who, 1);
    const [busy] = arrive(400);
    assert.equal(busy?.agentId, who);
    arrive(4000, { id: 'a', endpoint: endpointEntry({ id: 'ep_a' }) });
    arrive(6000, { id: 'b', endpoint: endpointEntry({ id: 'ep_b' }) });
    pass(1000);
    const positionOf = (id: string): number | undefined => {
      const waiting = scheduler.queue.get(id);
      return waiting && scheduler.fleet.outlook.of(waiting, 1e6).position;
    };
    assert.deepEqual({ a: positionOf('a'), b: positionOf('b') }, expected);
  }
});

test('a bound shared agent is measured by the own agents that are bound beside it', () => {
  const { grant, join, arrive, teach } = rig();
  join({ ...ownAgent, boundEndpointIds: ['ep_a'] });
  join({ ...sharedAgent, boundEndpointIds: ['ep_a'] });
  teach('own', 'ep_a');
  teach('shared', 'ep_a');
  grant('own', 1);
  const byOwn = arrive(4000)[0]?.work.prompt ?? 0;
  grant('shared', 1);
  const byShared = arrive(4000)[0]?.work.prompt ?? 0;
  assert.deepEqual([Math.round(byOwn / 100), Math.round(byShared / 100)], [40, 4]);
});

/** Another project's request. */
const ofOther = {
  endpoint: endpointEntry({ id: 'ep_b', projectId: 'proj_b' }),
  project: { ...routedRequest({ id: '' }).project, id: 'proj_b' },
};
const resume = { abilities: [], delivered: 3000 };
type Failed = Extract<UntimedEvent, { type: 'failed' }>;
const breaks = (claim: number) =>
  ({ type: 'failed', claim, slotFree: true, health: 'bad', resume }) as const;
const ends = (claim: number, usage: Usage) =>
  ({ type: 'end', claim, slotFree: true, health: 'good', usage }) as const;

test('what an own agent wrote of an answer that broke is charged as if shared ones had', () => {
  const { grant, join, arrive, send } = rig();
  join(ownAgent);
  join(sharedAgent);
  grant('own', 1);
  const [broken] = arrive(4000, { maxTokens: 4000 });
  assert.ok(broken?.agentId === 'own');
  send({ type: 'first_byte', claim: broken.claim });
  grant('own', 0);
  grant('shared', 2);
  const [resumed] = send(breaks(broken.claim));
  assert.ok(resumed?.agentId === 'shared');
  arrive(4000, { ...ofOther, id: 'b1' });
  arrive(4000, { id: 'a2' });
  arrive(4000, { ...ofOther, id: 'b2' });
  // Of 3,010 tokens the shared agent has written ten.
  const usage = { input: 1000, output: 3010, delivered: 3000 };
  const [next] = send(ends(resumed.claim, usage));
  assert.equal(next?.requestId, 'a2');
});

/** Which project is next on a shared agent that wrote most of an answer of `a` and then gave up. */
function nextAfterSharedBroke(how: Partial<Failed>): string | undefined {
  const { grant, join, arrive, send } = rig();
  join(ownAgent);
  join(sharedAgent);
  grant('shared', 1);
  const [broken] = arrive(4000, { maxTokens: 4000 });
  assert.ok(broken?.agentId === 'shared');
  arrive(4000, { ...ofOther, id: 'b1' });
  send({ type: 'first_byte', claim: broken.claim });
  grant('own', 1);
  const [resumed, b1] = send({ ...breaks(broken.claim), ...how });
  assert.ok(resumed?.agentId === 'own' && b1?.requestId === 'b1');
  arrive(4000, { ...ofOther, id: 'b2' });
  arrive(4000, { id: 'a2' });
  send({ type: 'first_byte', claim: b1.claim });
  // The own agent goes on with an answer of which a shared one has written 3,000 tokens.
  const [next] = send(ends(b1.claim, { input: 1000, output: 10 }));
  return next?.requestId;
}

test('what a shared agent wrote of an answer that broke is charged to nobody', () => {
  assert.equal(nextAfterSharedBroke({}), 'b2');
});

test('what an agent wrote is charged to nobody where it says that it had no room', () => {
  assert.equal(nextAfterSharedBroke({ blameless: true, health: undefined }), 'b2');
});
