/** Events that once made the scheduler look at everything, for everybody who waits. */
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
import { maxExplainedAgents } from '../limits.ts';
import { maxSampled } from './limits.ts';
import { Scheduler } from './scheduler.ts';
import type { Choice } from './choice.ts';
import type {
  Dispatch,
  SchedulerCommand,
  SchedulerEvent,
  UntimedEvent,
  Verdict,
} from './schedulerEvents.ts';
import type { WaitingRequest } from './schedulerState.ts';

/**
 * Counts how often it looks for an agent for a request, for a request for an instance, and at what
 * limits say of one.
 */
class Counting extends Scheduler {
  choices = 0;
  asked = 0;
  looks = 0;

  constructor(concurrentPerProject: number) {
    super({
      random: seededRandom(1),
      config: { tiers: unlimitedTiers({ concurrentPerProject }), waiting: { perConcurrent: 100 } },
    });
    const { turns } = this;
    const nextFor = turns.nextFor.bind(turns);
    turns.nextFor = (instance) => {
      this.asked += 1;
      return nextFor(instance);
    };
    const { limits } = this;
    const admits = limits.admits.bind(limits);
    limits.admits = (waiting, where) => {
      this.looks += 1;
      return admits(waiting, where);
    };
  }

  protected override choose(waiting: WaitingRequest): Choice | null {
    this.choices += 1;
    return super.choose(waiting);
  }
}

function rig(concurrentPerProject: number) {
  const scheduler = new Counting(concurrentPerProject);
  const state = { nowMs: 1000 };
  const send = (event: UntimedEvent): SchedulerCommand[] =>
    scheduler.handle({ ...event, atMs: state.nowMs } as SchedulerEvent);
  const agent = (id: string, projectId: string | null = null, slots = 1): void => {
    send({ type: 'agent', entry: agentEntry({ id, projectId }) });
    send({ type: 'join', agentId: id, nonce: 'n1' });
    const instances = [{ instance: 'i1', modelId: 'model_a', slots, abilities: [] }];
    send({ type: 'grant', agentId: id, nonce: 'n1', instances });
  };
  const grant = (agentId: string, abilities: string[], slots = 1): SchedulerCommand[] => {
    const instances = [{ instance: 'i1', modelId: 'model_a', slots, abilities }];
    return send({ type: 'grant', agentId, nonce: 'n1', instances });
  };
  /** Agents whose entries count how often they are looked at, and at how many of them. */
  const watched = (count: number, { linked = false } = {}) => {
    const seen = new Set<string>();
    const looks = { all: 0, seen };
    for (let n = 0; n < count; n += 1) {
      const id = `w${n}`;
      const entry = new Proxy(agentEntry({ id }), {
        get: (of, key): unknown => {
          looks.all += 1;
          seen.add(id);
          return Reflect.get(of, key);
        },
      });
      send({ type: 'agent', entry });
      if (!linked) continue;
      send({ type: 'join', agentId: id, nonce: 'n1' });
      grant(id, [], 100);
    }
    return (act: () => void): { all: number; agents: number } => {
      looks.all = 0;
      seen.clear();
      act();
      return { all: looks.all, agents: seen.size };
    };
  };
  const arrive = (id: string, project: string): Dispatch[] => {
    const of = projectEntry({ id: project });
    const endpoint = endpointEntry({ id: `ep_${project}`, projectId: project });
    return dispatched(
      send({ type: 'arrive', request: routedRequest({ id, project: of, endpoint }) }),
    );
  };
  const end = ({ claim }: Dispatch, health: 'good' | 'bad'): Dispatch[] =>
    dispatched(send({ type: 'end', claim, slotFree: true, health }));
  const counted = (act: () => void): { choices: number; turns: number; looks: number } => {
    Object.assign(scheduler, { choices: 0, asked: 0, looks: 0 });
    act();
    const { choices, asked: turns, looks } = scheduler;
    return { choices, turns, looks };
  };
  return { scheduler, state, send, agent, grant, watched, arrive, end, counted };
}

const rejected = (commands: readonly SchedulerCommand[]): Verdict[] =>
  commands.flatMap((command) => (command.type === 'reject' ? [command.verdict] : []));

const dispatched = (commands: readonly SchedulerCommand[]): Dispatch[] =>
  commands.filter((command) => command.type === 'dispatch');

test('each end of a project at its limit tries all that it holds back, on all agents', () => {
  const { scheduler, agent, arrive, end, counted } = rig(10);
  agent('own', 'p');
  for (let n = 0; n < 100; n += 1) agent(`a${n}`, null, 2);
  const running: Dispatch[] = [];
  for (let n = 0; n < 150; n += 1) running.push(...arrive(`r${n}`, 'p'));
  assert.equal(scheduler.counts().waiting, 139, 'one on the own agent, ten on shared ones');
  const shared = running.filter((one) => one.shared);
  const { choices, looks } = counted(() => {
    assert.deepEqual(
      end(shared[0] as Dispatch, 'good').map(({ requestId }) => requestId),
      ['r11'],
    );
  });
  assert.ok(choices <= 2, `${choices} choices`);
  assert.ok(looks <= 3, `${looks} looks at what the limit says`);
  assert.deepEqual(scheduler.audit().claimable, []);
});

test('an agent that comes has all that are free asked, though none keeps long prompts out', () => {
  const { scheduler, agent, arrive, counted } = rig(10);
  agent('own', 'p');
  for (let n = 0; n < 50; n += 1) agent(`a${n}`);
  for (let n = 0; n < 50; n += 1) arrive(`r${n}`, 'p');
  assert.equal(scheduler.counts().waiting, 39);
  const { turns } = counted(() => agent('next'));
  assert.ok(turns <= 2, `${turns} turns`);
  assert.deepEqual(scheduler.audit().claimable, []);
});

test('a limit with room for some lets go one, or those who came last', () => {
  const { scheduler, state, send, agent, arrive, end } = rig(10);
  agent('own', 'p');
  for (let n = 0; n < 100; n += 1) agent(`a${n}`);
  const running: Dispatch[] = [];
  for (let n = 0; n < 50; n += 1) running.push(...arrive(`r${n}`, 'p'));
  const shared = running.filter((one) => one.shared);
  // Two of them fail and are tried again at once; the others end.
  state.nowMs += 10;
  const next = shared.slice(2, 6).flatMap((one) => end(one, 'good'));
  assert.deepEqual(
    next.map(({ requestId }) => requestId),
    ['r11', 'r12', 'r13', 'r14'],
  );
  send({ type: 'hang_up', requestId: 'r15', outcome: 'client_closed' });
  assert.deepEqual(
    end(shared[7] as Dispatch, 'good').map(({ requestId }) => requestId),
    ['r16'],
  );
  assert.deepEqual(scheduler.audit().claimable, []);
});

test('in a storm of failures each event asks all who wait for each agent that failed', () => {
  const { scheduler, state, send, agent, arrive, end, counted } = rig(10_000);
  const failing: Dispatch[] = [];
  for (let n = 0; n < 100; n += 1) agent(`a${n}`);
  for (let n = 0; n < 100; n += 1) failing.push(...arrive(`first${n}`, 'p'));
  for (const one of failing) end(one, 'bad');
  agent('clear');
  const [busy] = arrive('busy', 'p');
  assert.equal(busy?.agentId, 'clear');
  for (let n = 0; n < 200; n += 1) arrive(`w${n}`, `p${n % 20}`);
  assert.equal(scheduler.counts().waiting, 200);
  state.nowMs += 10;
  const rtt = counted(() => void send({ type: 'rtt', agentId: 'a0', nonce: 'n1', rttMs: 5 }));
  assert.equal(rtt.turns, 0);
  const failed = counted(() => void end(busy, 'good'));
  assert.ok(failed.turns <= 4, `${failed.turns} turns`);
  assert.deepEqual(scheduler.audit().claimable, []);
  // The last of the clear ones goes: those that failed are all that is left.
  const all = dispatched(send({ type: 'leave', agentId: 'clear', nonce: 'n1' }));
  assert.equal(all.length, 100);
});

/** As many of a burst as come for one endpoint, and their verdicts when it is over. */
function burst({ state, send }: ReturnType<typeof rig>, requests: number): () => Verdict[] {
  const [endpoint, project, model] = [endpointEntry(), projectEntry(), modelEntry()];
  for (let n = 0; n < requests; n += 1) {
    const request = routedRequest({ id: `r${n}`, endpoint, project, model });
    assert.deepEqual(rejected(send({ type: 'arrive', request })), []);
  }
  state.nowMs += 30_000;
  return () => rejected(send({ type: 'tick' }));
}

test('all of a burst that time out in one tick walk through the fleet, each by itself', () => {
  const one = rig(100);
  const looks = one.watched(200);
  const told = { one: [] as Verdict[], all: [] as Verdict[] };
  const expireOne = burst(one, 1);
  const forOne = looks(() => void (told.one = expireOne()));
  const expireAll = burst(one, 100);
  const forAll = looks(() => void (told.all = expireAll()));
  assert.equal(told.all.length, 100);
  for (const verdict of told.all) assert.deepEqual(verdict, told.one[0]);
  assert.ok(forAll.all <= forOne.all, `${forAll.all} looks for a hundred, ${forOne.all} for one`);
});

test('an endpoint that is closed under its requests explains the fleet to each of them', () => {
  const one = rig(100);
  const { send } = one;
  const looks = one.watched(200);
  burst(one, 100);
  const [project, model] = [projectEntry(), modelEntry()];
  const endpoint = endpointEntry({ minimumIsolation: 'microvm' });
  let told: Verdict[] = [];
  const { all } = looks(() => {
    told = rejected(send({ type: 'endpoint', endpoint, project, model }));
  });
  assert.equal(told.filter(({ kind }) => kind === 'no_agent_available').length, 100);
  assert.ok(all <= 200 * 20, `${all} looks`);
});

test('a verdict looks at all agents of a large fleet that is down, or failed the model', () => {
  const one = rig(100);
  const looks = one.watched(2000);
  const expireDown = burst(one, 1);
  const down = looks(() => assert.equal(expireDown()[0]?.kind, 'no_agent_available'));
  assert.ok(down.agents <= maxExplainedAgents, `${down.agents} agents`);
  for (let n = 0; n < 2000; n += 1) {
    const of = { agentId: `w${n}`, nonce: 'n1' };
    one.send({ type: 'join', ...of });
    one.send({ type: 'models', ...of, models: [{ modelId: 'model_a', state: 'failed' }] });
  }
  const expireFailed = burst(one, 1);
  const failed = looks(() => assert.equal(expireFailed()[0]?.kind, 'no_agent_available'));
  assert.ok(failed.agents <= maxExplainedAgents, `${failed.agents} agents`);
});

test('what no agent may serve makes each arrival look at all that are open', () => {
  const { send, watched } = rig(100);
  const looks = watched(500, { linked: true });
  const [project, model] = [projectEntry(), modelEntry()];
  const open = endpointEntry();
  const isolated = endpointEntry({ id: 'ep_b', minimumIsolation: 'logical' });
  const cases = [
    { endpoint: open, abilities: ['tools'], kinds: ['unsupported_parameter'] },
    { endpoint: isolated, abilities: [], kinds: [] },
  ];
  for (const { endpoint, abilities, kinds } of cases) {
    const arrive = (id: string): void => {
      const request = routedRequest({ id, project, model, endpoint, abilities });
      const told = rejected(send({ type: 'arrive', request }));
      assert.deepEqual(
        told.map(({ kind }) => kind),
        kinds,
      );
    };
    arrive(`first_${endpoint.id}`);
    const { agents } = looks(() => arrive(`next_${endpoint.id}`));
    assert.ok(agents <= maxSampled, `${agents} agents`);
  }
});

test('what one agent alone can do makes each arrival look at all, while that one is busy', () => {
  const { send, grant, watched, end } = rig(100);
  const looks = watched(500, { linked: true });
  const [project, model, endpoint] = [projectEntry(), modelEntry(), endpointEntry()];
  const arrive = (id: string): SchedulerCommand[] => {
    const request = routedRequest({ id, project, model, endpoint, abilities: ['tools'] });
    return send({ type: 'arrive', request });
  };
  assert.equal(rejected(arrive('early'))[0]?.kind, 'unsupported_parameter');
  grant('w3', ['tools']);
  const [first] = dispatched(arrive('first'));
  assert.equal(first?.agentId, 'w3', 'it is known at once what it can do now');
  const waits = looks(() => assert.deepEqual(rejected(arrive('second')), []));
  // A part of all, and as many as come before the one that can.
  assert.ok(waits.agents <= maxSampled + 4, `${waits.agents} agents`);
  // It fails, and nobody else can do it: this is known of the others, too.
  const failed = (claim: number): Verdict[] =>
    rejected(send({ type: 'failed', claim, slotFree: true }));
  assert.equal(failed(first.claim)[0]?.kind, 'upstream_error');
  const [third] = dispatched(arrive('third'));
  assert.equal(third, undefined, 'the second has the slot');
  assert.deepEqual(
    end({ ...first, claim: first.claim + 1 }, 'good').map((one) => one.requestId),
    ['third'],
  );
  const again = looks(() => {
    assert.equal(failed(first.claim + 2)[0]?.kind, 'upstream_error');
  });
  assert.ok(again.agents <= 2 * maxSampled, `${again.agents} agents`);
  grant('w3', []);
  assert.equal(rejected(arrive('late'))[0]?.kind, 'unsupported_parameter');
});
