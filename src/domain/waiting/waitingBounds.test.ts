/** Q2: what one project may have of the waiting line, so that something is left for all others. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import {
  agentEntry,
  endpointEntry,
  projectEntry,
  routedRequest,
} from '../../testing/router/directoryEntries.ts';
import { maxProjectWaitingRequests, maxWaitingBytes, waitingPerConcurrent } from '../limits.ts';
import type { RoutedRequest } from '../agents/matching.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import type { SchedulerEvent, UntimedEvent } from '../scheduler/schedulerEvents.ts';
import { tierTable, type TierSlug } from '../tiers/tiers.ts';

const MiB = 1024 * 1024;

/** Own agents that are off: whatever comes waits. */
function rig(tiers = tierTable()) {
  const scheduler = new Scheduler({ random: seededRandom(1), config: { tiers } });
  let nowMs = 1000;
  const send = (event: UntimedEvent) => {
    nowMs += 1;
    return scheduler.handle({ ...event, atMs: nowMs } as SchedulerEvent);
  };
  let lastId = 0;
  /** What refuses it; null: it waits. */
  const arrive = (projectId: string, over: Partial<RoutedRequest> & { tier?: TierSlug } = {}) => {
    const { tier = 'self_hosted', ...rest } = over;
    lastId += 1;
    const fallback = { enabled: false, afterMs: 0, tier: null };
    const endpoint = endpointEntry({ id: `ep_${projectId}`, projectId, tier, fallback });
    const project = projectEntry({ id: projectId });
    const request = routedRequest({ id: `r${lastId}`, endpoint, project, ...rest });
    const [command] = send({ type: 'arrive', request });
    if (command?.type !== 'reject') return null;
    const { verdict } = command;
    assert.ok(verdict.kind === 'queue_full', verdict.kind);
    return { bound: verdict.bound, limit: verdict.limit, used: verdict.used };
  };
  const off = (projectId: string): void => {
    const effectiveTiers = Object.keys(tiers) as TierSlug[];
    const entry = agentEntry({ id: `off_${projectId}`, projectId, effectiveTiers });
    send({ type: 'agent', entry });
  };
  return { scheduler, send, arrive, off };
}

test('one project takes the whole line with a few large bodies', () => {
  const { scheduler, send, arrive, off } = rig();
  for (const id of ['hostile', 'other']) off(id);
  const large = { bodyBytes: 16 * MiB };
  assert.equal(arrive('hostile', large), null, 'one body of the largest size');
  const full = { bound: 'project_bytes', limit: maxWaitingBytes / 8, used: 16 * MiB };
  for (let n = 0; n < 7; n += 1) assert.deepEqual(arrive('hostile', large), full);
  assert.deepEqual(arrive('hostile', { bodyBytes: 1 }), full);
  for (let n = 0; n < 32; n += 1) assert.equal(arrive('other', { bodyBytes: MiB / 2 }), null);
  // What has gone gives its bytes back.
  send({ type: 'hang_up', requestId: 'r1', outcome: 'client_closed' });
  assert.equal(arrive('hostile', { bodyBytes: 1 }), null);
  assert.equal(scheduler.counts().waitingBytes, 16 * MiB + 1);
});

test('a body larger than the part of a project can never wait', () => {
  const { arrive, off } = rig();
  off('p');
  assert.equal(arrive('p', { bodyBytes: 64 * MiB }), null);
  assert.equal(arrive('p', { bodyBytes: 1 })?.bound, 'project_bytes');
});

test('four projects take the whole line with many small requests over all tiers', () => {
  const tiers = tierTable();
  const { scheduler, arrive, off } = rig(tiers);
  const hostile = ['h1', 'h2', 'h3', 'h4'];
  for (const id of [...hostile, 'other']) off(id);
  for (const id of hostile) {
    let waits = 0;
    for (const tier of Object.keys(tiers) as TierSlug[]) {
      const most = tiers[tier].concurrentPerProject * waitingPerConcurrent;
      for (let n = 0; n < most; n += 1) if (arrive(id, { tier }) === null) waits += 1;
    }
    assert.equal(waits, maxProjectWaitingRequests);
    const full = { bound: 'project_requests', limit: waits, used: waits };
    assert.deepEqual(arrive(id, { tier: 'gpu_intel_shared' }), full);
  }
  assert.equal(arrive('other'), null);
  assert.equal(scheduler.counts().waiting, 4 * maxProjectWaitingRequests + 1);
});

test('a tier that lets a project have more is cut to its part of the line', () => {
  const { arrive, off } = rig(tierTable({ self_hosted: { concurrentPerProject: 200 } }));
  off('p');
  for (let n = 0; n < 800; n += 1) assert.equal(arrive('p'), null);
  assert.deepEqual(arrive('p'), { bound: 'project', limit: 800, used: 800 });
});
