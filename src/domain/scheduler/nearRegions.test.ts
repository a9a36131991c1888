/** Regions among more open instances than are looked at for one request. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import {
  agentEntry,
  endpointEntry,
  modelEntry,
  projectEntry,
  routedRequest,
} from '../../testing/router/directoryEntries.ts';
import { unlimitedTiers } from '../../testing/router/unlimitedTiers.ts';
import { maxSampled } from './limits.ts';
import { Scheduler } from './scheduler.ts';
import type { Dispatch, SchedulerEvent, UntimedEvent } from './schedulerEvents.ts';

const speed = { firstByteMs: 50, perTokenMs: 5 };
const slots = 40;

/** So many agents in each region, and how often each agent is looked at. */
function rig(fleet: Record<string, number>, { rttMs = {} as Record<string, number> } = {}) {
  const scheduler = new Scheduler({
    random: seededRandom(1),
    config: { tiers: unlimitedTiers({ concurrentPerProject: 100_000 }), region: 'home' },
  });
  const state = { nowMs: 1000, looks: 0 };
  const send = (event: UntimedEvent): Dispatch[] =>
    scheduler
      .handle({ ...event, atMs: state.nowMs } as SchedulerEvent)
      .filter((command) => command.type === 'dispatch');
  const regionOf = new Map<string, string>();
  const put = (id: string, region: string): void => {
    regionOf.set(id, region);
    const entry = new Proxy(agentEntry({ id, region }), {
      get: (of, key): unknown => {
        state.looks += 1;
        return Reflect.get(of, key);
      },
    });
    send({ type: 'agent', entry });
  };
  for (const [region, count] of Object.entries(fleet)) {
    for (let n = 0; n < count; n += 1) {
      const id = `${region}-${n}`;
      put(id, region);
      send({ type: 'join', agentId: id, nonce: 'n1' });
      const instances = [{ instance: 'i1', modelId: 'model_a', slots, abilities: [], speed }];
      send({ type: 'grant', agentId: id, nonce: 'n1', instances });
      const rtt = rttMs[region];
      if (rtt !== undefined) send({ type: 'rtt', agentId: id, nonce: 'n1', rttMs: rtt });
    }
  }
  const [project, model, endpoint] = [projectEntry(), modelEntry(), endpointEntry()];
  let count = 0;
  const arrive = (region: string | null = null): Dispatch => {
    const request = routedRequest({ id: `r${(count += 1)}`, project, model, endpoint, region });
    const [dispatch] = send({ type: 'arrive', request });
    assert.ok(dispatch);
    return dispatch;
  };
  /** Takes so many, one after the other, and gives how many went to each region. */
  const shares = (requests: number, region: string | null = null): Record<string, number> => {
    const taken: Record<string, number> = {};
    for (let n = 0; n < requests; n += 1) {
      const dispatch = arrive(region);
      const where = regionOf.get(dispatch.agentId) ?? '';
      taken[where] = (taken[where] ?? 0) + 1;
      state.nowMs += 50;
      send({ type: 'first_byte', claim: dispatch.claim });
      send({ type: 'end', claim: dispatch.claim, slotFree: true, health: 'good' });
    }
    return taken;
  };
  /** Agents' entries that one arrival reads. */
  const looksOf = (requests: number): number => {
    state.looks = 0;
    for (let n = 0; n < requests; n += 1) arrive();
    return state.looks / requests;
  };
  return { send, put, arrive, shares, looksOf };
}

const near = { type: 'regions', map: { groups: [['home', 'next']] } } as const;

test('of five hundred open instances the five of the own region are seldom looked at', () => {
  const few = rig({ home: 5, next: 20, far: 39 }).shares(200);
  const many = rig({ home: 5, next: 20, far: 475 }).shares(200);
  assert.ok((few['home'] ?? 0) >= 190, `${few['home']} of 64`);
  assert.ok((many['home'] ?? 0) >= 190, `${many['home']} of 500`);
});

test('where the own region has none, near ones are as far as all others', () => {
  const byMap = rig({ next: 20, far: 480 });
  byMap.send(near);
  assert.ok((byMap.shares(200)['next'] ?? 0) >= 190);
  const measured = rig({ next: 20, far: 480 }, { rttMs: { next: 5, far: 90 } });
  assert.ok((measured.shares(200)['next'] ?? 0) >= 190);
  const asked = rig({ home: 200, next: 20, far: 280 }, { rttMs: { next: 5, far: 90, home: 1 } });
  assert.ok((asked.shares(200, 'NEXT')['next'] ?? 0) >= 190);
});

test('an agent that moves stays where it was, and so does one that has left its region', () => {
  const { put, shares } = rig({ home: 2, far: 498 });
  for (const n of [0, 1]) put(`home-${n}`, 'far');
  put('far-7', 'home');
  assert.ok((shares(100)['home'] ?? 0) >= 90);
});

test('the own region is taken however slow, because nobody else is looked at', () => {
  const { send, arrive } = rig({ home: 40, far: 460 });
  const slow = { firstByteMs: 5000, perTokenMs: 500 };
  for (let n = 0; n < 40; n += 1) {
    const instances = [{ instance: 'i2', modelId: 'model_a', slots, abilities: [], speed: slow }];
    send({ type: 'grant', agentId: `home-${n}`, nonce: 'n1', instances });
  }
  const taken = Array.from({ length: 100 }, () => arrive().agentId);
  assert.ok(taken.filter((id) => id.startsWith('far')).length >= 90);
});

test('a choice costs more the more instances are open, or the more regions they have', () => {
  const few = rig({ home: 5, next: 20, far: 175 });
  const many = rig({ home: 50, next: 200, far: 1750 });
  const regions = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`r${n}`, 1]));
  const scattered = rig({ ...regions, home: 5 });
  const most = few.looksOf(50) * 1.2;
  assert.ok(many.looksOf(50) <= most, 'two thousand');
  assert.ok(scattered.looksOf(50) <= most, 'a thousand regions');
  assert.ok((scattered.shares(50)['home'] ?? 0) >= 45);
  assert.ok(most <= maxSampled * 40, `${most} looks`);
});
