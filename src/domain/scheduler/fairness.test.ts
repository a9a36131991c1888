/** Projects and endpoints that always wait, on one machine: who gets how much of it. */
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
import type { AgentEntry, EndpointEntry } from '../directory.ts';
import { Scheduler } from './scheduler.ts';
import type { Dispatch, SchedulerEvent, UntimedEvent } from './schedulerEvents.ts';

interface Asked {
  projectId: string;
  endpoint?: Partial<EndpointEntry>;
  modelId?: string;
  /** Of its prompt. */
  tokens?: number;
  serviceMs?: number;
}

const answerTokens = 50;
const stepMs = 100;

/** A machine that takes its time, and a clock that goes on in steps. */
function rig(how: { agent?: Partial<AgentEntry>; slots?: number; holdsTokens?: number } = {}) {
  const { agent = {}, slots = 1, holdsTokens } = how;
  const tiers = unlimitedTiers({ concurrentPerProject: 1000 });
  const scheduler = new Scheduler({ random: seededRandom(1), config: { tiers } });
  const of = new Map<string, Asked & { name: string }>();
  const running: { endsAtMs: number; dispatch: Dispatch }[] = [];
  const served: Record<string, number> = {};
  const refused: Record<string, number> = {};
  const waiting: Record<string, number> = {};
  let nowMs = 1000;
  const count = (counts: Record<string, number>, name: string, by = 1): void => {
    counts[name] = (counts[name] ?? 0) + by;
  };
  const send = (event: UntimedEvent): void => {
    for (const command of scheduler.handle({ ...event, atMs: nowMs } as SchedulerEvent)) {
      if (command.type !== 'dispatch' && command.type !== 'reject') continue;
      const { name = '', serviceMs = 500 } = of.get(command.requestId) ?? {};
      count(waiting, name, -1);
      count(command.type === 'dispatch' ? served : refused, name);
      if (command.type !== 'dispatch') continue;
      running.push({ endsAtMs: nowMs + serviceMs, dispatch: command });
    }
  };
  send({ type: 'agent', entry: agentEntry({ id: 'one', ...agent }) });
  send({ type: 'join', agentId: 'one', nonce: 'n1' });
  const engine = { instance: 'i1', modelId: 'model_a', slots, abilities: [], holdsTokens };
  send({ type: 'grant', agentId: 'one', nonce: 'n1', instances: [engine] });
  const ask = (name: string, asked: Asked): string => {
    const { projectId, endpoint, modelId = 'model_a', tokens = 1000 } = asked;
    const id = `${name} ${of.size}`;
    of.set(id, { ...asked, name });
    count(waiting, name);
    const request = routedRequest({
      id,
      project: projectEntry({ id: projectId }),
      endpoint: endpointEntry({ id: `ep_${projectId}`, projectId, ...endpoint }),
      model: modelEntry({ id: modelId }),
      bodyBytes: 4 * tokens,
      maxTokens: answerTokens,
    });
    send({ type: 'arrive', request });
    return id;
  };
  const hangUp = (requestId: string): void => {
    send({ type: 'hang_up', requestId, outcome: 'client_closed' });
  };
  /** So many of each wait at all times. */
  const load = (all: Record<string, Asked & { waits: number }>, seconds: number): void => {
    for (let step = 0; step < (seconds * 1000) / stepMs; step += 1) {
      nowMs += stepMs;
      for (const [name, asked] of Object.entries(all)) {
        for (let n = waiting[name] ?? 0; n < asked.waits; n += 1) ask(name, asked);
      }
      send({ type: 'tick' });
      for (const one of running.filter(({ endsAtMs }) => endsAtMs <= nowMs)) {
        running.splice(running.indexOf(one), 1);
        const { claim, requestId } = one.dispatch;
        const input = of.get(requestId)?.tokens ?? 1000;
        send({ type: 'first_byte', claim });
        const usage = { input, cached: 0, output: answerTokens };
        send({ type: 'end', claim, slotFree: true, health: 'good', usage });
      }
    }
  };
  return { ask, hangUp, load, served, refused };
}

const own = { fallback: { enabled: false, afterMs: 0, tier: null } };

for (const [what, projectId, other] of [
  ['a private agent', 'a', 'a'],
  ['a shared agent', null, 'b'],
] as const) {
  test(`of two endpoints to which ${what} is bound, only the first one is served`, () => {
    for (const boundEndpointIds of [
      ['ep_1', 'ep_2'],
      ['ep_2', 'ep_1'],
    ]) {
      const { load, served, refused } = rig({ agent: { projectId, boundEndpointIds } });
      const [first, second] = [
        { projectId: 'a', endpoint: { ...own, id: 'ep_1' }, waits: 5 },
        { projectId: other, endpoint: { ...own, id: 'ep_2' }, waits: 1 },
      ];
      load({ first, second }, 60);
      assert.ok((served['second'] ?? 0) >= 10, `${boundEndpointIds.join()}: ${served['second']}`);
      assert.ok((served['first'] ?? 0) >= 10, `${boundEndpointIds.join()}: ${served['first']}`);
      assert.deepEqual(refused, {});
    }
  });
}

test('a project takes the fleet from others by a request for another model, now and then', () => {
  const { ask, hangUp, load, served, refused } = rig({ slots: 4 });
  // Whoever runs a little all the time has a small counter.
  ask('trickle', { projectId: 'trickle', tokens: 10, serviceMs: 1e9 });
  const hog = { projectId: 'hog', waits: 10 };
  const victim = { projectId: 'victim', waits: 10 };
  for (let second = 0; second < 60; second += 1) {
    load({ hog, victim }, 1);
    hangUp(ask('side', { projectId: 'hog', modelId: 'model_b' }));
  }
  const [more = 0, less = 0] = [served['hog'], served['victim']];
  assert.ok(less > 0.9 * more, `${more} against ${less}`);
  assert.equal(refused['victim'], undefined);
});

test('large requests of a project starve behind another one’s small ones', () => {
  const { load, served, refused } = rig({ slots: 64, holdsTokens: 20_000 });
  const large = { projectId: 'large', tokens: 12_000, serviceMs: 2000, waits: 3 };
  const small = { projectId: 'small', tokens: 500, serviceMs: 3000, waits: 5 };
  load({ large, small }, 120);
  assert.ok((served['large'] ?? 0) > 20, `${served['large']} were served`);
  assert.ok((served['small'] ?? 0) > 200, `${served['small']} were served`);
  assert.deepEqual(refused, {});
});
