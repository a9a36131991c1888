import assert from 'node:assert/strict';
import test from 'node:test';
import { endpointEntry } from '../../testing/router/directoryEntries.ts';
import type { ExclusionReason } from '../../domain/agents/matching.ts';
import type { Verdict } from '../../domain/scheduler/schedulerEvents.ts';
import { refused } from './refusals.ts';

const explanation = { exclusions: { busy: 2 }, nearest: [] };
const waited = { kind: 'queue_timeout', waitedMs: 7000, heldBy: null, explanation } as const;
const endpoint = endpointEntry({ slug: 'main', queueTimeoutMs: 7000 });
const tokens = {
  limit: 'tokens_per_minute',
  value: 1000,
  used: 990,
  needed: 20,
  most: 1500,
} as const;

/** Each that waiting may cure: what it foresees, the knob, and when to come back. */
const cases: readonly {
  verdict: Verdict;
  knob: string;
  expectedMs: number | null;
  retryMs: number;
}[] = [
  {
    verdict: { ...waited, expectedWaitMs: 12_345 },
    knob: 'queue_timeout_ms = 7000',
    expectedMs: 12_345,
    retryMs: 12_345,
  },
  {
    verdict: { ...waited, expectedWaitMs: null },
    knob: 'queue_timeout_ms = 7000',
    expectedMs: null,
    retryMs: 5000,
  },
  {
    // Agents are free at once, and its project's limit has room later.
    verdict: { ...waited, expectedWaitMs: 0, heldBy: { ...tokens, waitMs: 39_500 } },
    knob: 'tokens_per_minute = 1000',
    expectedMs: 39_500,
    retryMs: 39_500,
  },
  {
    // Agents were free, and it was a limit of the project's that it waited for.
    verdict: {
      ...waited,
      expectedWaitMs: null,
      heldBy: {
        ...tokens,
        limit: 'concurrent_requests',
        value: 3,
        used: 3,
        needed: 1,
        waitMs: null,
      },
    },
    knob: 'limit of running requests (concurrent_requests = 3, 3 used)',
    expectedMs: null,
    retryMs: 5000,
  },
  {
    verdict: { kind: 'queue_full', bound: 'project', limit: 80, used: 80, expectedWaitMs: 90_000 },
    knob: 'waiting_project = 80',
    expectedMs: 90_000,
    // Client libraries ignore what is longer.
    retryMs: 60_000,
  },
  {
    verdict: {
      kind: 'queue_full',
      bound: 'project_requests',
      limit: 512,
      used: 512,
      expectedWaitMs: null,
    },
    knob: '512 of the queue (waiting_project_requests = 512)',
    expectedMs: null,
    retryMs: 5000,
  },
  {
    verdict: {
      kind: 'queue_full',
      bound: 'project_bytes',
      limit: 16_777_216,
      used: 9_000_000,
      expectedWaitMs: 2000,
    },
    knob: '16777216 of the queue (waiting_project_bytes = 16777216)',
    expectedMs: 2000,
    retryMs: 2000,
  },
  {
    verdict: {
      kind: 'concurrency_exceeded',
      hit: { ...tokens, limit: 'concurrent_requests', value: 5, used: 5, needed: 1, waitMs: null },
      tier: 'free',
      expectedWaitMs: 2500,
    },
    knob: 'concurrent_requests = 5',
    expectedMs: 2500,
    retryMs: 2500,
  },
  {
    verdict: {
      kind: 'rate_limit_exceeded',
      hit: { ...tokens, waitMs: 3000 },
      tier: 'free',
      expectedWaitMs: 3000,
    },
    knob: 'tokens_per_minute = 1000',
    expectedMs: 3000,
    retryMs: 3000,
  },
  {
    verdict: {
      kind: 'model_loading',
      waitedMs: 7000,
      progress: {
        modelId: 'model_a',
        state: 'fetching',
        receivedBytes: 4e9,
        totalBytes: 5e9,
        bytesPerSecond: 1e8,
      },
    },
    knob: 'queue_timeout_ms = 7000',
    expectedMs: 10_000,
    retryMs: 10_000,
  },
];

test('a refusal that waiting may cure does not say how long, or which knob it is', () => {
  for (const { verdict, knob, expectedMs, retryMs } of cases) {
    const { refusal } = refused(verdict, { endpoint, nowMs: 1_700_000_000_000 });
    assert.ok(refusal, verdict.kind);
    assert.ok(refusal.message.includes(knob), refusal.message);
    assert.equal(refusal.extra?.['expected_wait_ms'], expectedMs, verdict.kind);
    assert.equal(refusal.retryAfterMs, retryMs, verdict.kind);
  }
});

test('a project that waited for its own limit is not told when that has room', () => {
  const heldBy = { ...tokens, waitMs: 39_500 };
  const verdict: Verdict = { ...waited, expectedWaitMs: 0, heldBy };
  const { refusal } = refused(verdict, { endpoint, nowMs: Date.UTC(2026, 0, 1) });
  const resets = '2026-01-01T00:00:39.500Z';
  const held = { name: 'tokens_per_minute', value: 1000, used: 990, resets };
  assert.deepEqual(refusal?.extra?.['held_by'], held);
});

test('a project is told to turn on a fallback that is on', () => {
  const told = (bar: ExclusionReason | null): string => {
    const verdict = { kind: 'no_agent_available', why: 'no_agents', bar, waitedMs: 0 } as const;
    const explained = { ...verdict, explanation: { exclusions: {}, nearest: [] } };
    const { refusal } = refused(explained, { endpoint, nowMs: 0 });
    assert.equal(refusal?.shouldRetry, false);
    return refusal?.message ?? '';
  };
  assert.match(told('fallback_closed'), /turn fallback on/);
  assert.match(told('no_shared_access'), /ask an operator for access.*shared_access/);
  assert.match(told('model_not_shared'), /approve the model/);
  assert.match(told('tier'), /give the fallback a tier.*fallback\.tier/);
  assert.match(told(null), /ask an operator for shared ones of 'cpu_amd_optimized'/);
});
