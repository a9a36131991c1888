import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { agentEntry, endpointEntry, routedRequest } from '../../testing/router/directoryEntries.ts';
import { unlimitedTiers } from '../../testing/router/unlimitedTiers.ts';
import type { AgentEntry } from '../directory.ts';
import { outlookMs } from '../limits.ts';
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

/** A scheduler with one agent, and a request's way through it. */
function plain() {
  const scheduler = new Scheduler({ random: seededRandom(1), config: { tiers: unlimitedTiers() } });
  const state = { nowMs: 1000 };
  const send = (event: UntimedEvent) =>
    scheduler.handle({ ...event, atMs: state.nowMs } as SchedulerEvent);
  const link = (entry: AgentEntry): void => {
    send({ type: 'agent', entry });
    send({ type: 'join', agentId: entry.id, nonce: 'n1' });
    const instances = [{ instance: 'i1', modelId: 'model_a', slots: 1, abilities: [] }];
    send({ type: 'grant', agentId: entry.id, nonce: 'n1', instances });
  };
  return { scheduler, state, send, link };
}

test('how long requests take is forgotten when their only agent is renamed', () => {
  const { scheduler, state, send, link } = plain();
  const entry = agentEntry({ id: 'one' });
  link(entry);
  const [command] = send({ type: 'arrive', request: routedRequest() });
  assert.equal(command?.type, 'dispatch');
  state.nowMs += 2000;
  send({ type: 'end', claim: command.claim, slotFree: true });
  const { outlook } = scheduler.fleet;
  const expected = () => outlook.ofNewcomer(routedRequest(), ['shared'], { nowMs: state.nowMs });
  assert.equal(expected(), 0);
  send({ type: 'agent', entry: { ...entry, name: 'another' } });
  state.nowMs += outlookMs;
  assert.equal(expected(), 0);
  // Elsewhere it begins anew.
  send({ type: 'agent', entry: { ...entry, boundEndpointIds: ['ep_b'] } });
  state.nowMs += outlookMs;
  assert.equal(expected(), null);
});

test('who waits for a bound shared agent waits on when it is suspended or bound elsewhere', () => {
  for (const change of [{ state: 'suspended' }, { boundEndpointIds: ['ep_b'] }] as const) {
    const { send, link } = plain();
    const bound = agentEntry({ id: 'bound', boundEndpointIds: ['ep_a'] });
    link(bound);
    link(agentEntry({ id: 'idle' }));
    const fallback = { enabled: true, afterMs: 20_000, tier: null };
    const endpoint = endpointEntry({ fallback });
    const ask = (id: string) =>
      send({ type: 'arrive', request: routedRequest({ id, endpoint }) }).filter(
        ({ type }) => type === 'dispatch',
      );
    assert.equal(ask('first').length, 1);
    assert.equal(ask('second').length, 0, 'it waits for the one that is bound');
    const moved = send({ type: 'agent', entry: { ...bound, ...change } as AgentEntry });
    const [dispatch] = moved.filter(({ type }) => type === 'dispatch');
    assert.equal(dispatch?.type === 'dispatch' && dispatch.agentId, 'idle');
  }
});
