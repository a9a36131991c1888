import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { agentEntry, endpointEntry, routedRequest } from '../../testing/router/directoryEntries.ts';
import { unlimitedTiers } from '../../testing/router/unlimitedTiers.ts';
import { Scheduler } from './scheduler.ts';
import type { SchedulerEvent, UntimedEvent } from './schedulerEvents.ts';

/** Who serves requests of a region while one agent in the next rack has something to do already. */
function rig() {
  const scheduler = new Scheduler({ random: seededRandom(1), config: { tiers: unlimitedTiers() } });
  const send = (event: UntimedEvent) =>
    scheduler.handle({ ...event, atMs: 1000 } as SchedulerEvent);
  const put = (id: string, region: string): void => {
    send({ type: 'agent', entry: agentEntry({ id, region }) });
  };
  const add = (id: string, region: string, rttMs: number, slots = 0): void => {
    put(id, region);
    send({ type: 'join', agentId: id, nonce: 'n1' });
    const instances = [{ instance: 'i1', modelId: 'model_a', slots, abilities: [] }];
    send({ type: 'grant', agentId: id, nonce: 'n1', instances });
    send({ type: 'rtt', agentId: id, nonce: 'n1', rttMs });
  };
  const leave = (agentId: string): void => void send({ type: 'leave', agentId, nonce: 'n1' });
  let asked = 0;
  const served = (region: string): string => {
    const endpoint = endpointEntry({ region });
    const [command] = send({
      type: 'arrive',
      request: routedRequest({ id: `r${(asked += 1)}`, endpoint }),
    });
    assert.equal(command?.type, 'dispatch');
    send({ type: 'end', claim: command.claim, slotFree: true });
    return command.agentId;
  };
  add('rack', 'rack-2', 5, 20);
  const [first] = send({ type: 'arrive', request: routedRequest({ id: 'first' }) });
  assert.equal(first?.type, 'dispatch');
  send({ type: 'first_byte', claim: first.claim });
  add('sea', 'us', 180, 20);
  return { put, add, leave, served };
}

test('an agent that was in a region for a moment makes it near for good', () => {
  const { add, leave, served } = rig();
  assert.equal(served('asia'), 'sea', 'both are far');
  add('stays', 'asia', 150);
  add('guest', 'asia', 1);
  assert.equal(served('asia'), 'rack', 'the guest says that it is near');
  leave('guest');
  assert.equal(served('asia'), 'sea');
});

test('a region is as near as an agent that has been moved out of it', () => {
  const { put, add, served } = rig();
  add('stays', 'asia', 150);
  add('moves', 'asia', 1);
  put('moves', 'rack-3');
  assert.equal(served('asia'), 'sea');
  assert.equal(served('rack-3'), 'rack');
});
