/** Limits of projects, through the scheduler that they are part of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  endpointEntry,
  modelEntry,
  projectEntry,
  routedRequest,
} from '../../testing/router/directoryEntries.ts';
import { limitRig } from '../../testing/router/limitRig.ts';
import { LimitBook } from './limitBook.ts';
import { patienceMs } from '../scheduler/limits.ts';
import type { Reject } from '../scheduler/schedulerEvents.ts';
import { tierTable } from '../tiers/tiers.ts';

const shared = { id: 'shared', projectId: null };
const own = { id: 'own', projectId: 'proj_a' };

function hitOf({ rejects }: { rejects: Reject[] }) {
  const verdict = rejects[0]?.verdict;
  assert.ok(verdict?.kind === 'rate_limit_exceeded' || verdict?.kind === 'concurrency_exceeded');
  return verdict.hit;
}

test('a burst of 64 gets more than the bucket holds', () => {
  const { agent, arrive } = limitRig({ requestsPerMinute: 20, concurrentPerProject: 1000 });
  agent(shared, 1000);
  const calls = Array.from({ length: 64 }, () => arrive());
  assert.equal(calls.flatMap((one) => one.dispatches).length, 30, '1.5 × the figure');
  const refusals = calls.flatMap((one) => one.rejects);
  assert.equal(refusals.length, 34);
  const [first] = refusals;
  assert.deepEqual(first?.verdict, {
    kind: 'rate_limit_exceeded',
    hit: {
      limit: 'requests_per_minute',
      value: 20,
      used: 20,
      needed: 1,
      most: 30,
      waitMs: 3000,
    },
    tier: 'cpu_amd_optimized',
    expectedWaitMs: 3000,
  });
  assert.deepEqual(first?.rates?.requests, { limit: 20, remaining: 0, resetMs: 90_000 });
});

test('a refused call costs something', () => {
  const { agent, arrive, pass } = limitRig({ requestsPerMinute: 2, tokensPerMinute: 1000 });
  agent(shared, 100);
  for (let at = 0; at < 3; at += 1) arrive();
  for (let at = 0; at < 50; at += 1) assert.equal(hitOf(arrive()).limit, 'requests_per_minute');
  pass(30_000);
  assert.equal(arrive().dispatches.length, 1, 'one was earned in half a minute');
  assert.equal(hitOf(arrive()).limit, 'requests_per_minute');
});

test('what answers say that is left is not what is left', () => {
  const { agent, arrive, end } = limitRig({ requestsPerMinute: 10, tokensPerMinute: 1000 });
  agent(shared, 100);
  const [first] = arrive().dispatches;
  assert.deepEqual(first?.rates, {
    requests: { limit: 10, remaining: 14, resetMs: 6_000 },
    tokens: { limit: 1000, remaining: 1400, resetMs: 6_000 },
  });
  end(first, { input: 10, output: 30 });
  const [second] = arrive({ maxTokens: 30 }).dispatches;
  assert.equal(second?.rates.tokens?.remaining, 1420, '40 of 100 were used, 40 are set aside');
});

test('a request larger than the bucket is told to come back', () => {
  const { agent, arrive } = limitRig({ tokensPerMinute: 100 });
  agent(shared, 1);
  const hit = hitOf(arrive({ bodyBytes: 4 * 141, maxTokens: 10 }));
  assert.equal(hit.waitMs, Infinity);
  assert.deepEqual([hit.needed, hit.most], [151, 150]);
  assert.equal(arrive({ bodyBytes: 4 * 140, maxTokens: 10 }).dispatches.length, 1);
});

test('a debt stops nobody, or stops what runs already', () => {
  const { agent, arrive, end, pass } = limitRig({ tokensPerMinute: 600 });
  agent(shared, 10);
  const [long] = arrive({ maxTokens: 90 }).dispatches;
  const [other] = arrive({ maxTokens: 90 }).dispatches;
  // 900 at once; 100 are set aside, and 2,000 were used.
  assert.deepEqual(end(long, { input: 10, output: 1990 }).rejects, []);
  const hit = hitOf(arrive({ maxTokens: 90 }));
  assert.deepEqual([hit.limit, hit.used], ['tokens_per_minute', 600 + 1200]);
  assert.equal(hit.waitMs, 130_000, 'the debt, and its own 100, at 10 a second');
  end(other, { input: 10, output: 90 });
  pass(129_999);
  assert.equal(arrive().rejects.length, 1);
  pass(1);
  assert.equal(arrive().dispatches.length, 1);
});

test('an attempt that failed is paid for, or its retry twice', () => {
  const { agent, arrive, send, end } = limitRig({ tokensPerMinute: 200, requestsPerMinute: 2 });
  agent(shared, 1);
  agent({ id: 'shared2', projectId: null }, 1);
  const [first] = arrive({ maxTokens: 280 }).dispatches;
  const { dispatches } = send({ type: 'failed', claim: first?.claim ?? 0, slotFree: true });
  assert.equal(dispatches[0]?.attempt, 1, 'its bucket of 300 holds 290 once only');
  assert.equal(dispatches[0]?.rates.requests?.remaining, 2);
  const next = dispatches[0];
  send({ type: 'failed', claim: next?.claim ?? 0, slotFree: true });
  const [again] = arrive({ maxTokens: 280 }).dispatches;
  assert.deepEqual(again?.rates.tokens?.remaining, 10, 'nothing was paid for what failed');
  end(again);
});

test('a cancelled request is paid for before its engine has said what it used', () => {
  const { agent, arrive, send } = limitRig({ tokensPerMinute: 1000, concurrentPerProject: 1 });
  agent(shared, 10);
  const [first] = arrive({ maxTokens: 490 }).dispatches;
  send({ type: 'end', claim: first?.claim ?? 0, slotFree: false });
  assert.equal(hitOf(arrive()).limit, 'concurrent_requests', 'its engine still runs');
  const usage = { input: 10, output: 20 };
  send({ type: 'release', claim: first?.claim ?? 0, usage });
  const [second] = arrive({ maxTokens: 20 }).dispatches;
  assert.equal(second?.rates.tokens?.remaining, 1500 - 30 - 30);
});

test('a stopped request of which nothing is known costs nothing', () => {
  const { agent, arrive, send } = limitRig({ tokensPerMinute: 1000 });
  agent(shared, 10);
  const [first] = arrive({ maxTokens: 490 }).dispatches;
  send({ type: 'end', claim: first?.claim ?? 0, slotFree: false });
  send({ type: 'release', claim: first?.claim ?? 0 });
  const [second] = arrive({ maxTokens: 490 }).dispatches;
  assert.equal(second?.rates.tokens?.remaining, 500, 'what was set aside stands');
});

test('a project over a shared limit does not wait for its own agents', () => {
  const { agent, arrive, end } = limitRig({ requestsPerMinute: 2 });
  agent(own, 1);
  agent(shared, 10);
  const [onOwn] = arrive().dispatches;
  assert.equal(onOwn?.agentId, 'own');
  for (let at = 0; at < 3; at += 1) assert.equal(arrive().dispatches[0]?.agentId, 'shared');
  // Its bucket is full enough after its deadline only; it is urgent before.
  assert.deepEqual(arrive(), { dispatches: [], rejects: [], wakes: [patienceMs] });
  const { dispatches } = end(onOwn);
  assert.deepEqual(
    dispatches.map((one) => [one.agentId, one.rates]),
    [['own', { requests: null, tokens: null }]],
  );
});

test('a request that waits for its bucket is not woken when it is full enough', () => {
  const { agent, arrive, pass } = limitRig({ requestsPerMinute: 6 });
  agent(own, 1);
  agent(shared, 20);
  for (let at = 0; at < 10; at += 1) arrive();
  const { wakes } = arrive();
  assert.deepEqual(wakes, [10_000], 'one more is earned in ten seconds, before its deadline');
  assert.equal(pass(9_999).dispatches.length, 0);
  assert.equal(pass(1).dispatches[0]?.agentId, 'shared');
});

test('what refunds free is not given to those who wait for it', () => {
  const { agent, arrive, end } = limitRig({ tokensPerMinute: 200 });
  agent(own, 1);
  agent(shared, 20);
  arrive();
  const [large] = arrive({ maxTokens: 240 }).dispatches;
  assert.equal(arrive({ maxTokens: 200 }).dispatches.length, 0);
  assert.equal(end(large, { input: 10, output: 1 }).dispatches.length, 1);
});

test('more run at once than the tier allows, or the next one does not start when one ends', () => {
  const { agent, arrive, end } = limitRig({ concurrentPerProject: 2 });
  agent(shared, 1);
  const [first] = arrive().dispatches;
  arrive();
  arrive();
  arrive();
  const { dispatches } = agent({ id: 'shared2', projectId: null }, 10);
  assert.equal(dispatches.length, 1, 'two run, though there is room for eleven');
  const hit = hitOf(arrive());
  assert.deepEqual(hit, {
    limit: 'concurrent_requests',
    value: 2,
    used: 2,
    needed: 1,
    most: 2,
    waitMs: null,
  });
  assert.equal(end(first).dispatches.length, 1);
});

test('own agents are held to rates, or escape the concurrency of self_hosted', () => {
  const { agent, arrive, end } = limitRig(
    { requestsPerMinute: 1, tokensPerMinute: 1, concurrentPerProject: 1 },
    { ownConcurrent: 3 },
  );
  agent(own, 10);
  const calls = [arrive(), arrive(), arrive()];
  assert.equal(calls.flatMap((one) => one.dispatches).length, 3);
  const fourth = arrive();
  assert.deepEqual([fourth.dispatches, fourth.rejects], [[], []], 'it waits');
  assert.equal(end(calls[0]?.dispatches[0]).dispatches.length, 1);
});

test('a shared agent that is bound to an endpoint escapes the limits', () => {
  const { agent, arrive } = limitRig({ requestsPerMinute: 2 });
  agent({ ...shared, boundEndpointIds: ['ep_a'] }, 10);
  const fallback = { enabled: false, afterMs: 0, tier: null };
  const endpoint = endpointEntry({ exclusive: true, fallback });
  const calls = Array.from({ length: 4 }, () => arrive({ endpoint }));
  assert.equal(calls.flatMap((one) => one.dispatches).length, 3);
  assert.equal(hitOf(calls[3] ?? arrive()).limit, 'requests_per_minute');
});

test('one project pays for another', () => {
  const { agent, arrive } = limitRig({ requestsPerMinute: 2 });
  agent(shared, 10);
  for (let at = 0; at < 4; at += 1) arrive();
  const project = projectEntry({ id: 'proj_b' });
  const endpoint = endpointEntry({ id: 'ep_b', projectId: 'proj_b' });
  assert.equal(arrive({ project, endpoint }).dispatches.length, 1);
});

test('a lease of half gives out more than half, or goes on when it has run out', () => {
  const lease = { scope: '*', amount: 0.5, expiresAtMs: 5_000 };
  const { agent, arrive, pass } = limitRig(
    { requestsPerMinute: 4, concurrentPerProject: 20 },
    { lease },
  );
  agent(shared, 20);
  const calls = Array.from({ length: 5 }, () => arrive());
  assert.equal(calls.flatMap((one) => one.dispatches).length, 3);
  pass(60_000);
  assert.equal(hitOf(arrive()).limit, 'concurrent_requests');
});

test('a picture counts as so much text', () => {
  const { agent, arrive, send } = limitRig({ tokensPerMinute: 10_000 });
  agent(shared, 5);
  const instances = [{ instance: 'i1', modelId: 'model_a', slots: 5, abilities: ['image'] }];
  send({ type: 'grant', agentId: 'shared', nonce: 'n', instances });
  const large = { bodyBytes: 1_000_000 };
  assert.equal(hitOf(arrive(large)).waitMs, Infinity);
  assert.equal(arrive({ ...large, abilities: ['image'] }).dispatches.length, 1);
  const model = modelEntry({ contextLength: 8_000 });
  assert.equal(arrive({ ...large, model }).dispatches.length, 1, 'no prompt is above its context');
});

test('projects that were here once are remembered for ever', () => {
  const tiers = tierTable();
  const book = new LimitBook({ tiers });
  for (let at = 0; at < 20_000; at += 1) {
    book.advance(at * 100);
    const request = routedRequest({ project: projectEntry({ id: `proj_${at}` }) });
    book.ratesOn('free', request);
  }
  assert.ok(book.audit().accounts <= 2048);
});

test('an own agent that lies about prompts makes a small request fill shared agents', () => {
  const { agent, arrive, end, send } = limitRig();
  agent({ id: 'own', projectId: 'proj_a' }, 1);
  for (let n = 0; n < 60; n += 1) {
    const [own] = arrive({ bodyBytes: 100 }).dispatches;
    // As many as may be billed of so short a body.
    end(own, { input: 1124, output: 5 });
  }
  send({ type: 'leave', agentId: 'own', nonce: 'n' });
  agent({ id: 'shared' }, 4);
  const [dispatch] = arrive({ bodyBytes: 8000 }).dispatches;
  assert.ok((dispatch?.work.prompt ?? Infinity) <= 4000, `${dispatch?.work.prompt} of 2000`);
});

test('a hedge that lost leaves its key held to what its own agent would have counted', () => {
  const { agent, arrive, end, send } = limitRig();
  agent(own, 1);
  agent(shared, 1);
  const size = { bodyBytes: 4000, maxTokens: 20 };
  // Own agents count 100 tokens for 4000 bytes, shared ones are taken to count 1000.
  for (let n = 0; n < 60; n += 1) end(arrive(size).dispatches[0], { input: 100, output: 10 });
  const quota = { requestsPerMinute: null, tokensPerMinute: null, tokensPerDay: 5000 };
  const keyed = { ...size, key: { id: 'key_a', quota } };
  const used = (): number => hitOf(arrive({ ...keyed, bodyBytes: 4_000_000 })).used;
  const [first] = arrive(keyed).dispatches;
  assert.equal(first?.agentId, 'own');
  const held = used();
  const [hedge] = send({ type: 'hedge', claim: first.claim }).dispatches;
  assert.equal(hedge?.agentId, 'shared');
  assert.ok(used() > held + 500, 'whoever serves it');
  send({ type: 'drop', claim: hedge.claim, slotFree: true, neverRan: true });
  assert.equal(used(), held);
  end(first);
  assert.equal(used(), held, 'its client left');
});
