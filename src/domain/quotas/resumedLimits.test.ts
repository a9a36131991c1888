/** Limits and budgets of what is tried again, or goes on with an answer that broke. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  agentEntry,
  apiKeyEntry,
  endpointEntry,
  projectEntry,
} from '../../testing/router/directoryEntries.ts';
import { limitRig } from '../../testing/router/limitRig.ts';
import type { AgentEntry } from '../directory.ts';
import type { TierOverride } from '../tiers/tiers.ts';
import type { Dispatch } from '../scheduler/schedulerEvents.ts';

const stop = { scope: 'project', amountMicros: 1, spentMicros: 1 } as const;
const price = { kind: 'per_million_tokens', amount: 1 } as const;

/** An own agent that serves one at a time, and two shared ones. Requests are of 10 + 90 tokens. */
function fleet(limits: TierOverride, options: Parameters<typeof limitRig>[1] = {}) {
  const rig = limitRig(limits, options);
  rig.agent({ id: 'own', projectId: 'proj_a' }, 1);
  for (const id of ['shared1', 'shared2']) rig.agent({ id, projectId: null }, 10);
  /** Its client has the first tokens of the answer, and no more come from this agent. */
  const breaks = (one: Dispatch | undefined, delivered: number) =>
    rig.send({
      type: 'failed',
      claim: one?.claim ?? 0,
      slotFree: true,
      resume: { abilities: [], delivered },
    });
  return { ...rig, breaks };
}

test('a stream that an own agent began goes on on shared ones beyond a limit', () => {
  const { arrive, breaks, pass } = fleet({ tokensPerMinute: 100 });
  const [first] = arrive().dispatches;
  const [second] = arrive().dispatches;
  assert.deepEqual([first?.agentId, second?.shared], ['own', true]);
  assert.deepEqual(breaks(first, 20).dispatches, [], '80 more, and the project has 50');
  assert.equal(pass(17_900).dispatches.length, 0);
  const [next] = pass(200).dispatches;
  assert.deepEqual([next?.requestId, next?.shared], ['r1', true]);
  assert.equal(next?.rates.tokens?.remaining, 0, 'its prompt and the rest are set aside');
});

test('one that goes on on shared agents is not counted among those that run there', () => {
  const { arrive, breaks, end } = fleet({ concurrentPerProject: 1 });
  const [first] = arrive().dispatches;
  const [second] = arrive().dispatches;
  assert.deepEqual(breaks(first, 20).dispatches, []);
  assert.equal(end(second).dispatches[0]?.requestId, 'r1');
});

test('a stream that a limit keeps from going on waits for ever, or nobody says why', () => {
  const { arrive, breaks, pass } = fleet({ tokensPerMinute: 100 });
  const [first] = arrive().dispatches;
  arrive({ maxTokens: 140 });
  assert.deepEqual(breaks(first, 0).rejects, []);
  const [reject] = pass(30_001).rejects;
  assert.ok(reject?.verdict.kind === 'queue_timeout', reject?.verdict.kind);
  assert.equal(reject.verdict.heldBy?.limit, 'tokens_per_minute');
});

test('a stream that an own agent began goes on for what a budget does not let it have', () => {
  const { arrive, breaks, send } = fleet({ price });
  const [first] = arrive().dispatches;
  send({ type: 'budget', id: 'proj_a', stop });
  const { dispatches, rejects } = breaks(first, 20);
  assert.deepEqual(dispatches, []);
  assert.deepEqual(
    rejects.map(({ verdict }) => verdict.kind),
    ['insufficient_quota'],
  );
});

test('a stream that waits to go on is not told that its budget is used up meanwhile', () => {
  const { arrive, breaks, send, end } = fleet({ price, concurrentPerProject: 1 });
  const [first] = arrive().dispatches;
  const [second] = arrive().dispatches;
  breaks(first, 20);
  const { rejects } = send({ type: 'budget', id: 'proj_a', stop });
  assert.equal(rejects[0]?.verdict.kind, 'insufficient_quota');
  assert.deepEqual(end(second).dispatches, []);
});

test('what a shared agent began, and was paid for, is stopped by a budget or a debt', () => {
  const { arrive, breaks, send, end } = fleet({ price, tokensPerMinute: 200 });
  arrive();
  const [broken] = arrive().dispatches;
  const [long] = arrive().dispatches;
  end(long, { input: 10, output: 1000 });
  send({ type: 'budget', id: 'proj_a', stop });
  const [next] = breaks(broken, 30).dispatches;
  assert.deepEqual([next?.requestId, next?.shared], ['r2', true]);
});

test('what own agents wrote of an answer counts against the limit of shared ones', () => {
  const { arrive, breaks, end } = fleet({ tokensPerMinute: 1000, requestsPerMinute: 10 });
  const [first] = arrive().dispatches;
  const [next] = breaks(first, 40).dispatches;
  assert.equal(next?.rates.tokens?.remaining, 1500 - 60, '10 of the prompt, 50 of the answer');
  end(next, { input: 10, output: 90, delivered: 40 });
  arrive();
  const [last] = arrive().dispatches;
  assert.equal(last?.rates.tokens?.remaining, 1500 - 60 - 100);
  assert.equal(last?.rates.requests?.remaining, 15 - 2);
});

test('what goes on on an own agent leaves behind all that was set aside, or nothing', () => {
  const { arrive, breaks, end } = fleet({ tokensPerMinute: 1000, requestsPerMinute: 10 });
  const [onOwn] = arrive().dispatches;
  const [onShared] = arrive().dispatches;
  end(onOwn);
  const [next] = breaks(onShared, 30).dispatches;
  assert.equal(next?.agentId, 'own');
  const [other] = arrive().dispatches;
  assert.equal(other?.rates.tokens?.remaining, 1500 - 40 - 100, '10 of the prompt, 30 written');
  assert.equal(other?.rates.requests?.remaining, 15 - 2);
  end(next, { input: 10, output: 90, delivered: 30 });
  arrive();
  const [last] = arrive().dispatches;
  assert.equal(last?.rates.tokens?.remaining, 1500 - 40 - 200, 'own agents cost nothing');
});

test('an answer that two shared agents wrote is paid for twice, or half', () => {
  const { arrive, breaks, end } = fleet({ tokensPerMinute: 1000, requestsPerMinute: 10 });
  arrive();
  const [first] = arrive().dispatches;
  const [second] = breaks(first, 30).dispatches;
  assert.equal(second?.rates.tokens?.remaining, 1400, 'its own 100 stay its own');
  assert.equal(second?.rates.requests?.remaining, 14);
  end(second, { input: 10, output: 70, delivered: 30 });
  const [last] = arrive().dispatches;
  assert.equal(last?.rates.tokens?.remaining, 1500 - 80 - 100);
  assert.equal(last?.rates.requests?.remaining, 15 - 2);
});

test('a broken stream that nobody goes on with costs nothing, or its key nothing', () => {
  const key = apiKeyEntry({
    quota: { requestsPerMinute: null, tokensPerMinute: 1000, tokensPerDay: null },
  });
  const { arrive, breaks, send } = fleet({ tokensPerMinute: 1000 });
  for (const agentId of ['own', 'shared2']) send({ type: 'leave', agentId, nonce: 'n' });
  const [first] = arrive({ key }).dispatches;
  assert.deepEqual(breaks(first, 30).rejects, []);
  send({ type: 'hang_up', requestId: 'r1', outcome: 'client_closed' });
  send({ type: 'join', agentId: 'shared2', nonce: 'n2' });
  const instances = [{ instance: 'i1', modelId: 'model_a', slots: 5, abilities: [] }];
  send({ type: 'grant', agentId: 'shared2', nonce: 'n2', instances });
  const [other] = arrive().dispatches;
  assert.equal(other?.rates.tokens?.remaining, 1500 - 40 - 100);
  const [ofKey] = arrive({ key }).dispatches;
  assert.equal(ofKey?.rates.tokens?.remaining, 1000 - 40 - 100);
});

test('a late request is kept from its next agent by what was set aside for itself', () => {
  const { arrive, send } = fleet({
    tokensPerMinute: 600,
    requestsPerMinute: 1,
    concurrentPerProject: 1,
  });
  arrive();
  const [first] = arrive({ maxTokens: 790 }).dispatches;
  const claim = first?.claim ?? 0;
  const [next] = send({ type: 'failed', claim, slotFree: false }).dispatches;
  assert.equal(next?.requestId, 'r2', '800 of 900 are its own');
  assert.equal(next.rates.tokens?.remaining, 100);
  send({ type: 'release', claim, usage: { input: 10, output: 3 } });
  const [third] = arrive({ maxTokens: 80 }).dispatches;
  assert.equal(third, undefined, 'the same request runs still');
});

test('a stream that stalls is taken to agents that its limits keep it from', () => {
  const { arrive, scheduler, pass } = fleet({ tokensPerMinute: 100 });
  const [first] = arrive().dispatches;
  arrive({ maxTokens: 140 });
  const claim = first?.claim ?? 0;
  assert.equal(scheduler.couldMove(claim, { abilities: [], isNewBreak: true }), false);
  pass(60_000);
  assert.equal(scheduler.couldMove(claim, { abilities: [], isNewBreak: true }), true);
});

test('who waits for what a broken stream keeps does not go on as soon as that is free', () => {
  const { arrive, send } = limitRig({ price }, { ownConcurrent: 1 });
  const link = (entry: Partial<AgentEntry> & { id: string }, abilities = ['continue']) => {
    const { id: agentId } = entry;
    const instances = [{ instance: 'i1', modelId: 'model_a', slots: 1, abilities }];
    send({ type: 'agent', entry: agentEntry(entry) });
    send({ type: 'join', agentId, nonce: 'n' });
    send({ type: 'grant', agentId, nonce: 'n', instances });
  };
  const endsBadly = (one: Dispatch | undefined) =>
    send({ type: 'end', claim: one?.claim ?? 0, slotFree: true, health: 'bad' });
  // A shared agent without a price is in the penalty box.
  link({ id: 'boxed', effectiveTiers: ['free'] });
  const other = endpointEntry({ id: 'ep_b', projectId: 'proj_b', tier: 'free' });
  endsBadly(arrive({ endpoint: other, project: projectEntry({ id: 'proj_b' }) }).dispatches[0]);
  // The stream waits for one with a price, which is busy, and keeps its place among own requests.
  const endpoint = endpointEntry({ fallback: { enabled: true, afterMs: 0, tier: 'free' } });
  link({ id: 'own', projectId: 'proj_a' });
  const [stream] = arrive({ endpoint }).dispatches;
  link({ id: 'bound', boundEndpointIds: ['ep_a'], effectiveTiers: ['cpu_amd_optimized'] });
  const [busy] = arrive({ endpoint }).dispatches;
  assert.deepEqual([stream?.agentId, busy?.agentId], ['own', 'bound']);
  const claim = stream?.claim ?? 0;
  send({ type: 'first_byte', claim });
  const resume = { abilities: ['continue'], delivered: 5 };
  send({ type: 'failed', claim, slotFree: true, health: 'bad', resume });
  link({ id: 'plain', projectId: 'proj_a' }, []);
  assert.deepEqual(arrive({ endpoint }).dispatches, []);
  // It waits for that one no more, and leaves its place.
  const { dispatches } = send({ type: 'budget', id: 'proj_a', stop });
  assert.deepEqual(
    dispatches.map(({ requestId, agentId }) => `${requestId} ${agentId}`),
    ['r2 boxed', 'r4 plain'],
  );
});
