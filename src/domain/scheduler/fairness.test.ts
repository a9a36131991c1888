/** Projects and endpoints that always wait, on one machine: who gets how much of it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
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
import type {
  Dispatch,
  SchedulerCommand,
  SchedulerEvent,
  UntimedEvent,
} from './schedulerEvents.ts';
import type { TierSlug } from '../tiers/tiers.ts';

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
function rig(
  how: { agent?: Partial<AgentEntry>; slots?: number; holdsTokens?: number | undefined } = {},
) {
  const { agent = {}, slots = 1, holdsTokens } = how;
  const tiers = unlimitedTiers({ concurrentPerProject: 1000 });
  const scheduler = new Scheduler({ random: seededRandom(1), config: { tiers } });
  const of = new Map<string, Asked & { name: string }>();
  const running: { endsAtMs: number; dispatch: Dispatch }[] = [];
  const served: Record<string, number> = {};
  /** Charged to each, over the weight of its tier: what S4 bounds. */
  const charged: Record<string, number> = {};
  const refused: Record<string, number> = {};
  const waiting: Record<string, number> = {};
  let nowMs = 1000;
  const charge = (requestId: string, tokens: number): void => {
    const { name = '', endpoint } = of.get(requestId) ?? {};
    count(charged, name, tokens / tiers[endpoint?.tier ?? 'cpu_amd_optimized'].priority);
  };
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
      charge(command.requestId, of.get(command.requestId)?.tokens ?? 1000);
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
        charge(requestId, 2 * answerTokens);
        const usage = { input, cached: 0, output: answerTokens };
        send({ type: 'end', claim, slotFree: true, health: 'good', usage });
      }
    }
  };
  return { ask, hangUp, load, served, refused, charged, tiers };
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

test('S4: of projects that always wait, one is served more than the bound lets it be', () => {
  const tier = fc.constantFrom<TierSlug>('cpu_amd_optimized', 'free');
  const load = fc.record({
    tokens: fc.integer({ min: 10, max: 4000 }),
    serviceMs: fc.integer({ min: 100, max: 2000 }),
    // More than there are slots: somebody of each waits at all times.
    waits: fc.integer({ min: 8, max: 12 }),
    tier,
    // Another model that waits in a line of its own, for a moment.
    other: fc.boolean(),
  });
  const loads = fc.array(load, { minLength: 2, maxLength: 4 });
  const slots = fc.integer({ min: 1, max: 6 });
  const room = fc.constantFrom(undefined, 20_000);
  fc.assert(
    fc.property(loads, slots, room, (all, count, holdsTokens) => {
      const { ask, hangUp, load: go, charged, tiers } = rig({ slots: count, holdsTokens });
      const projects = Object.fromEntries(
        all.map(({ tier: slug, ...one }, n) => {
          const endpoint = { tier: slug };
          return [`p${n}`, { ...one, projectId: `p${n}`, endpoint }];
        }),
      );
      go(projects, 3);
      // What one of them was served before the others came is not held against it (F2).
      const before = { ...charged };
      for (let second = 0; second < 90; second += 1) {
        go(projects, 1);
        for (const [n, { other }] of all.entries()) {
          if (other) hangUp(ask(`side ${n}`, { projectId: `p${n}`, modelId: 'model_b' }));
        }
      }
      const longest = Math.max(...all.map(({ tokens }) => tokens));
      const bound = 2 * Math.max(longest, 2 * count * answerTokens);
      const least = Math.min(...all.map((one) => tiers[one.tier].priority));
      const values = Object.keys(projects).map(
        (name) => (charged[name] ?? 0) - (before[name] ?? 0),
      );
      // Answers are charged as they stream, and here when they end: one more of each slot. And
      // one may have been as far behind at first as it is ahead in the end. Besides, who finds no
      // room waits for `patienceMs` before it may have any: a ninth of the time that is looked at.
      const slack = 2 * count * answerTokens + longest;
      const most = Math.max(...values);
      const limit = (2 * (bound + slack)) / least + 0.15 * most;
      assert.ok(most - Math.min(...values) <= limit, `${values.join()}: not within ${limit}`);
    }),
    { numRuns: 15 },
  );
});

/** Sends nothing but what the scheduler's own timers ask for. */
function byTimers(
  scheduler: Scheduler,
  { fromMs, untilMs, first }: { fromMs: number; untilMs: number; first: SchedulerCommand[] },
): Dispatch[] {
  const dispatched: Dispatch[] = [];
  let due: number[] = [];
  const take = (commands: readonly SchedulerCommand[]): void => {
    for (const command of commands) {
      if (command.type === 'dispatch') dispatched.push(command);
      if (command.type === 'set_timer') due.push(command.atMs);
    }
  };
  take(first);
  for (let nowMs = fromMs; nowMs <= untilMs; nowMs += 10) {
    if (!due.some((atMs) => atMs <= nowMs)) continue;
    due = due.filter((atMs) => atMs > nowMs);
    take(scheduler.handle({ type: 'tick', atMs: nowMs }));
  }
  return dispatched;
}

test('nobody looks when an instance has computed what it had to', () => {
  const scheduler = new Scheduler({ random: seededRandom(1), config: { tiers: unlimitedTiers() } });
  const first: SchedulerCommand[] = [];
  const send = (event: UntimedEvent): SchedulerCommand[] => {
    const commands = scheduler.handle({ ...event, atMs: 1000 } as SchedulerEvent);
    first.push(...commands.filter(({ type }) => type === 'set_timer'));
    return commands;
  };
  const speed = { firstByteMs: 10, perTokenMs: 50 };
  send({ type: 'agent', entry: agentEntry({ id: 'one' }) });
  send({ type: 'join', agentId: 'one', nonce: 'n1' });
  const instances = [{ instance: 'i1', modelId: 'model_a', slots: 4, abilities: [], speed }];
  send({ type: 'grant', agentId: 'one', nonce: 'n1', instances });
  const ask = (id: string): SchedulerCommand[] =>
    send({ type: 'arrive', request: routedRequest({ id, bodyBytes: 4000 }) });
  assert.ok(ask('first').some(({ type }) => type === 'dispatch'));
  assert.ok(!ask('second').some(({ type }) => type === 'dispatch'), 'it has much to compute');
  const [second] = byTimers(scheduler, { fromMs: 1000, untilMs: 20_000, first });
  assert.equal(second?.requestId, 'second');
});

test('nobody looks when a time in the penalty box is over', () => {
  const scheduler = new Scheduler({ random: seededRandom(1), config: { tiers: unlimitedTiers() } });
  const first: SchedulerCommand[] = [];
  const send = (event: UntimedEvent): Dispatch[] => {
    const commands = scheduler.handle({ ...event, atMs: 1000 } as SchedulerEvent);
    first.push(...commands.filter(({ type }) => type === 'set_timer'));
    return commands.filter((command) => command.type === 'dispatch');
  };
  const link = (id: string): Dispatch[] => {
    send({ type: 'agent', entry: agentEntry({ id }) });
    send({ type: 'join', agentId: id, nonce: 'n1' });
    const instances = [{ instance: 'i1', modelId: 'model_a', slots: 1, abilities: [] }];
    return send({ type: 'grant', agentId: id, nonce: 'n1', instances });
  };
  link('failed');
  const [failing] = send({ type: 'arrive', request: routedRequest({ id: 'first' }) });
  assert.ok(failing);
  send({ type: 'end', claim: failing.claim, slotFree: true, health: 'bad' });
  link('busy');
  assert.equal(
    send({ type: 'arrive', request: routedRequest({ id: 'long' }) })[0]?.agentId,
    'busy',
  );
  assert.equal(send({ type: 'arrive', request: routedRequest({ id: 'waits' }) }).length, 0);
  const [last] = byTimers(scheduler, { fromMs: 1000, untilMs: 5000, first });
  assert.deepEqual([last?.requestId, last?.agentId], ['waits', 'failed']);
});
