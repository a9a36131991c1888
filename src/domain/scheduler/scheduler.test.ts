import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import {
  agentEntry,
  endpointEntry,
  projectEntry,
  routedRequest,
} from '../../testing/router/directoryEntries.ts';
import type { AgentEntry, EndpointEntry } from '../directory.ts';
import type { RoutedRequest } from '../agents/matching.ts';
import { Scheduler } from './scheduler.ts';
import type {
  Dispatch,
  SchedulerCommand,
  SchedulerEvent,
  UntimedEvent,
  Verdict,
} from './schedulerEvents.ts';
import { tierTable } from '../tiers/tiers.ts';
import type { WaitingBounds } from '../waiting/waitingQueue.ts';

interface Grant {
  slots?: number;
  holdsTokens?: number;
  speed?: { firstByteMs: number; perTokenMs: number };
  abilities?: string[];
  nonce?: string;
}

/** A scheduler with a hand on the time. */
function rig(waiting: Partial<WaitingBounds> = {}) {
  const config = { tiers: tierTable(), waiting };
  const scheduler = new Scheduler({ random: seededRandom(1), config });
  let nowMs = 1000;
  const send = (event: UntimedEvent): SchedulerCommand[] => {
    const commands = scheduler.handle({ ...event, atMs: nowMs } as SchedulerEvent);
    const audit = scheduler.audit();
    assert.equal(audit.claims, audit.inFlight, 'R5');
    assert.deepEqual(audit.claimable, [], 'W1');
    return commands;
  };
  const grant = (agentId: string, options: Grant = {}): SchedulerCommand[] => {
    const { slots = 1, abilities = ['chat'], nonce = 'n1', holdsTokens, speed } = options;
    const instances = [
      { instance: 'i1', modelId: 'model_a', slots, abilities, holdsTokens, speed },
    ];
    return send({ type: 'grant', agentId, nonce, instances });
  };
  /** Enrols, links and grants at once. */
  const agent = (entry: AgentEntry, options: Grant = {}): SchedulerCommand[] => {
    send({ type: 'agent', entry });
    send({ type: 'join', agentId: entry.id, nonce: 'n1' });
    return grant(entry.id, options);
  };
  const arrive = (id: string, over: Partial<RoutedRequest> = {}): SchedulerCommand[] =>
    send({ type: 'arrive', request: routedRequest({ id, ...over }) });
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { scheduler, send, grant, agent, arrive, pass };
}

const own = agentEntry({ id: 'own', projectId: 'proj_a' });
const shared = agentEntry({ id: 'shared', projectId: null });

const dispatched = (commands: SchedulerCommand[]): Dispatch[] =>
  commands.filter((one) => one.type === 'dispatch');
const verdicts = (commands: SchedulerCommand[]): Verdict[] =>
  commands.flatMap((one) => (one.type === 'reject' ? [one.verdict] : []));
const onlyDispatch = (commands: SchedulerCommand[]): Dispatch => {
  const [first, ...rest] = dispatched(commands);
  assert.ok(first !== undefined && rest.length === 0);
  return first;
};
const endpoint = (over: Partial<EndpointEntry>) => ({ endpoint: endpointEntry(over) });

test('own agents are used before shared ones, shared ones when own are full', () => {
  const { agent, arrive } = rig();
  agent(shared, { slots: 4 });
  agent(own);
  assert.equal(onlyDispatch(arrive('r1')).agentId, 'own');
  assert.deepEqual(
    [onlyDispatch(arrive('r2'))].map((one) => [one.agentId, one.stage]),
    [['shared', 'shared']],
  );
});

test('with after_ms a request waits for an own agent first, then overflows', () => {
  const { agent, arrive, send, pass } = rig();
  agent(own);
  agent(shared);
  arrive('r1');
  const fallback = { enabled: true, afterMs: 500, tier: null };
  const commands = arrive('r2', endpoint({ fallback }));
  assert.deepEqual(commands, [{ type: 'set_timer', atMs: 1500 }]);
  pass(499);
  assert.deepEqual(dispatched(send({ type: 'tick' })), []);
  pass(1);
  assert.equal(onlyDispatch(send({ type: 'tick' })).agentId, 'shared');
});

test('after_ms does not delay a project whose own agents are suspended', () => {
  const { agent, arrive, send } = rig();
  agent(own);
  agent(shared);
  arrive('r1');
  const fallback = { enabled: true, afterMs: 5000, tier: null };
  arrive('r2', endpoint({ fallback }));
  const commands = send({ type: 'agent', entry: { ...own, state: 'suspended' } });
  assert.equal(onlyDispatch(commands).agentId, 'shared');
  const free = send({ type: 'agent', entry: agentEntry({ id: 'shared2' }) });
  assert.deepEqual(free, []);
  agent(agentEntry({ id: 'shared3' }));
  assert.equal(onlyDispatch(arrive('r3', endpoint({ fallback }))).agentId, 'shared3');
});

test('the least loaded of several agents is taken', () => {
  const { agent, arrive } = rig();
  agent(agentEntry({ id: 'wide' }), { slots: 4 });
  agent(agentEntry({ id: 'narrow' }), { slots: 1 });
  const taken = ['a', 'b', 'c', 'd', 'e'].map((id) => onlyDispatch(arrive(id)).agentId);
  assert.equal(taken.filter((id) => id === 'narrow').length, 1);
  assert.equal(dispatched(arrive('f')).length, 0);
});

test('a waiting request starts the moment a slot is freed, in the order of arrival', () => {
  const { agent, arrive, send } = rig();
  agent(shared);
  const first = onlyDispatch(arrive('r1'));
  arrive('r2');
  arrive('r3');
  const commands = send({ type: 'end', claim: first.claim, slotFree: true });
  assert.equal(onlyDispatch(commands).requestId, 'r2');
});

test('a prompt is computed anew elsewhere although waiting for its beginning is cheaper', () => {
  const { agent, arrive, send } = rig();
  const blocks = Array.from({ length: 80 }, (_, n) => n + 1);
  const prompt = { blocks, blockBytes: 1024 };
  const bodyBytes = 80 * 1024;
  agent(shared, { slots: 4 });
  const first = onlyDispatch(arrive('first', { prompt, bodyBytes }));
  send({ type: 'first_byte', claim: first.claim });
  const usage = { input: 20_480, output: 5, cached: 0 };
  send({ type: 'end', claim: first.claim, slotFree: true, usage });
  // Ten thousand tokens that are not known keep it busy.
  arrive('other', { bodyBytes: 40 * 1024 });
  agent(agentEntry({ id: 'idle' }), { slots: 4 });
  const longer = { blocks: [...blocks, 81], blockBytes: 1024 };
  const second = onlyDispatch(arrive('second', { prompt: longer, bodyBytes: 81 * 1024 }));
  assert.equal(second.agentId, 'shared');
  // Nothing is known of this one: nobody waits for it.
  assert.equal(onlyDispatch(arrive('third', { bodyBytes })).agentId, 'idle');
});

test('a waiting request starts the moment an agent joins', () => {
  const { agent, arrive, send } = rig();
  send({ type: 'agent', entry: shared });
  assert.equal(dispatched(arrive('r1')).length, 0);
  assert.equal(onlyDispatch(agent(shared)).requestId, 'r1');
});

test('a waiting request starts the moment a suspended agent is resumed', () => {
  const { agent, arrive, send } = rig();
  agent({ ...shared, state: 'suspended' });
  assert.equal(dispatched(arrive('r1')).length, 0);
  assert.equal(onlyDispatch(send({ type: 'agent', entry: shared })).requestId, 'r1');
});

test('a client that hangs up leaves the queue at once', () => {
  const { agent, arrive, send, scheduler } = rig();
  agent(shared);
  const first = onlyDispatch(arrive('r1'));
  arrive('r2');
  const gone = send({ type: 'hang_up', requestId: 'r2', outcome: 'client_closed' });
  assert.deepEqual(verdicts(gone), [{ kind: 'client_closed', waitedMs: 0 }]);
  assert.deepEqual(send({ type: 'end', claim: first.claim, slotFree: true }), []);
  assert.deepEqual(scheduler.counts(), { waiting: 0, waitingBytes: 0, running: 0 });
});

test('a retry goes to the head with its old deadline and never to the agent that failed it', () => {
  const { agent, arrive, send, pass } = rig();
  agent(shared);
  agent(agentEntry({ id: 'other' }));
  const r1 = onlyDispatch(arrive('r1'));
  const r2 = onlyDispatch(arrive('r2'));
  arrive('r3');
  pass(10_000);
  const failed = send({ type: 'failed', claim: r1.claim, slotFree: true });
  assert.equal(onlyDispatch(failed).requestId, 'r3');
  const freed = send({ type: 'end', claim: r2.claim, slotFree: true });
  assert.equal(onlyDispatch(freed).requestId, 'r1');
  assert.equal(onlyDispatch(freed).agentId, r2.agentId);
});

test('retries keep the deadline of the arrival', () => {
  const { agent, arrive, send, pass } = rig();
  agent(shared);
  const other = agentEntry({ id: 'other' });
  send({ type: 'agent', entry: other });
  const r1 = onlyDispatch(arrive('r1'));
  pass(29_000);
  send({ type: 'failed', claim: r1.claim, slotFree: true });
  pass(999);
  assert.deepEqual(
    send({ type: 'tick' }).filter((one) => one.type === 'reject'),
    [],
  );
  pass(1);
  assert.equal(verdicts(send({ type: 'tick' }))[0]?.kind, 'queue_timeout');
});

test('after two retries, or with nobody else enrolled, the failure is told', () => {
  const { agent, arrive, send } = rig();
  agent(shared);
  const alone = onlyDispatch(arrive('r1'));
  const told = verdicts(send({ type: 'failed', claim: alone.claim, slotFree: true }));
  assert.deepEqual(told, [{ kind: 'upstream_error', attempts: 1, waitedMs: 0 }]);
  for (const id of ['b', 'c', 'd', 'e']) agent(agentEntry({ id }));
  let last = onlyDispatch(arrive('r2'));
  for (let retry = 0; retry < 2; retry += 1) {
    last = onlyDispatch(send({ type: 'failed', claim: last.claim, slotFree: true }));
  }
  const end = verdicts(send({ type: 'failed', claim: last.claim, slotFree: true }));
  assert.deepEqual(end, [{ kind: 'upstream_error', attempts: 3, waitedMs: 0 }]);
});

test('a request whose only agent is suspended under it waits, as one that comes then', () => {
  const { agent, arrive, send, grant } = rig();
  agent(shared);
  const { claim } = onlyDispatch(arrive('r1'));
  send({ type: 'agent', entry: { ...shared, state: 'suspended' } });
  send({ type: 'leave', agentId: 'shared', nonce: 'n1' });
  assert.deepEqual(verdicts(send({ type: 'failed', claim, slotFree: true })), []);
  send({ type: 'agent', entry: shared });
  send({ type: 'join', agentId: 'shared', nonce: 'n2' });
  assert.equal(onlyDispatch(grant('shared', { nonce: 'n2' })).requestId, 'r1');
});

test('an agent with less room than it granted is not excluded for it', () => {
  const { agent, arrive, send, grant } = rig();
  agent(shared);
  const first = onlyDispatch(arrive('r1'));
  grant('shared', { slots: 0 });
  const turnedDown = { claim: first.claim, slotFree: true, blameless: true };
  assert.deepEqual(verdicts(send({ type: 'failed', ...turnedDown })), []);
  assert.equal(onlyDispatch(grant('shared', { slots: 1 })).attempt, 1);
});

test('an agent that restarted counts as another', () => {
  const { agent, arrive, send, grant } = rig();
  agent(shared);
  const first = onlyDispatch(arrive('r1'));
  send({ type: 'join', agentId: 'shared', nonce: 'n2' });
  grant('shared', { nonce: 'n2' });
  const again = onlyDispatch(send({ type: 'failed', claim: first.claim, slotFree: true }));
  assert.equal(again.nonce, 'n2');
  assert.equal(again.attempt, 1);
});

test('an agent that linked anew is left out while others are waited for in vain', () => {
  const { agent, arrive, send, grant } = rig();
  agent(shared);
  // Enrolled, and not there.
  send({ type: 'agent', entry: agentEntry({ id: 'away', projectId: null }) });
  const first = onlyDispatch(arrive('r1'));
  send({ type: 'leave', agentId: 'shared', nonce: 'n1' });
  const failed = send({ type: 'failed', claim: first.claim, slotFree: true });
  assert.deepEqual(verdicts(failed), []);
  // The same process, after a cut of its network: it has not failed, its link has.
  send({ type: 'join', agentId: 'shared', nonce: 'n1' });
  const again = onlyDispatch(grant('shared'));
  assert.deepEqual([again.requestId, again.attempt], ['r1', 1]);
  send({ type: 'failed', claim: again.claim, slotFree: true });
  assert.deepEqual(dispatched(grant('shared')), [], 'not twice in one life');
});

test('a cancelled request keeps its slot until the side of the agent has closed', () => {
  const { agent, arrive, send } = rig();
  agent(shared);
  const first = onlyDispatch(arrive('r1'));
  assert.deepEqual(send({ type: 'end', claim: first.claim, slotFree: false }), []);
  assert.equal(dispatched(arrive('r2')).length, 0);
  const freed = send({ type: 'release', claim: first.claim });
  assert.equal(onlyDispatch(freed).requestId, 'r2');
  assert.deepEqual(send({ type: 'release', claim: first.claim }), []);
});

test('claims of a fenced process do not count against the new one', () => {
  const { agent, arrive, send, grant, scheduler } = rig();
  agent(shared);
  const first = onlyDispatch(arrive('r1'));
  send({ type: 'join', agentId: 'shared', nonce: 'n2' });
  grant('shared', { nonce: 'n2' });
  assert.equal(onlyDispatch(arrive('r2')).nonce, 'n2');
  send({ type: 'end', claim: first.claim, slotFree: true });
  assert.deepEqual(scheduler.agentLoad('shared'), { inFlight: 1, slots: 1 });
  assert.equal(dispatched(arrive('r3')).length, 0);
});

test('a smaller grant takes no running request away and gives no work beyond it', () => {
  const { agent, arrive, send, grant } = rig();
  agent(shared, { slots: 2 });
  const [r1] = [onlyDispatch(arrive('r1')), onlyDispatch(arrive('r2'))];
  grant('shared', { slots: 1 });
  assert.equal(dispatched(arrive('r3')).length, 0);
  assert.deepEqual(dispatched(send({ type: 'end', claim: r1.claim, slotFree: true })), []);
});

test('an ability that no engine has is refused at once and named', () => {
  const { agent, arrive } = rig();
  agent(shared, { abilities: ['chat'] });
  const refused = verdicts(arrive('r1', { abilities: ['chat', 'tools'] }));
  assert.deepEqual(refused, [{ kind: 'unsupported_parameter', missing: ['tools'] }]);
});

test('where waiting cannot help the request is refused at once', () => {
  const { arrive, send } = rig();
  const why = (commands: SchedulerCommand[]) => {
    const [verdict] = verdicts(commands);
    return verdict?.kind === 'no_agent_available' ? verdict.why : verdict?.kind;
  };
  assert.equal(why(arrive('r1')), 'no_agents');
  send({ type: 'agent', entry: own });
  assert.equal(why(arrive('r2')), undefined);
  assert.equal(why(arrive('r3', endpoint({ minimumIsolation: 'microvm' }))), 'microvm');
  const exclusive = endpoint({ exclusive: true });
  send({
    type: 'agent',
    entry: agentEntry({ id: 'x', state: 'dead', boundEndpointIds: ['ep_a'] }),
  });
  assert.equal(why(arrive('r4', exclusive)), 'bound_agents_dead');
});

test('an agent that is bound to many endpoints is there for the last of them only', () => {
  const { agent, arrive, send } = rig();
  const ids = ['ep_a', ...Array.from({ length: 60 }, (_, n) => `ep_${n}`)];
  agent({ ...own, boundEndpointIds: ids });
  send({ type: 'leave', agentId: 'own', nonce: 'n1' });
  // It will be back: its requests wait for it.
  assert.deepEqual(verdicts(arrive('r1', endpoint({ id: 'ep_a', exclusive: true }))), []);
});

test('after a whole wait the code says whether anybody was there', () => {
  const { agent, arrive, send, pass } = rig();
  send({ type: 'agent', entry: own });
  arrive('r1', endpoint({ fallback: { enabled: false, afterMs: 0, tier: null } }));
  pass(30_000);
  const [alone] = verdicts(send({ type: 'tick' }));
  assert.equal(alone?.kind === 'no_agent_available' && alone.why, 'none_active');
  agent(own);
  onlyDispatch(arrive('r2'));
  arrive('r3');
  pass(30_000);
  const [busy] = verdicts(send({ type: 'tick' }));
  assert.ok(busy?.kind === 'queue_timeout');
  assert.deepEqual(busy.explanation.exclusions, { busy: 1 });
});

test('a machine without room for the request is none of those that are said to be busy', () => {
  const { agent, arrive, send, pass } = rig();
  agent(shared, { slots: 4, holdsTokens: 1000 });
  onlyDispatch(arrive('large', { bodyBytes: 8000 }));
  arrive('next', { bodyBytes: 8000 });
  pass(30_000);
  const [full] = verdicts(send({ type: 'tick' }));
  assert.ok(full?.kind === 'queue_timeout');
  assert.deepEqual(full.explanation.exclusions, { busy: 1 });
});

test('a model that is still loading at the deadline is told with its progress', () => {
  const { arrive, send, pass } = rig();
  send({ type: 'agent', entry: shared });
  send({ type: 'join', agentId: 'shared', nonce: 'n1' });
  const progress = { modelId: 'model_a', state: 'fetching' as const, receivedBytes: 10 };
  send({ type: 'models', agentId: 'shared', nonce: 'n1', models: [progress] });
  arrive('r1', endpoint({ queueTimeoutMs: 2000 }));
  pass(2000);
  const told = verdicts(send({ type: 'tick' }));
  assert.deepEqual(told, [{ kind: 'model_loading', waitedMs: 2000, progress }]);
  const failed = { modelId: 'model_a', state: 'failed' as const };
  send({ type: 'models', agentId: 'shared', nonce: 'n1', models: [failed] });
  arrive('r2', endpoint({ queueTimeoutMs: 2000 }));
  send({ type: 'leave', agentId: 'shared', nonce: 'n1' });
  pass(2000);
  assert.equal(verdicts(send({ type: 'tick' }))[0]?.kind, 'queue_timeout');
});

test('the queue is bounded by requests, bytes and per project', () => {
  const bounds = { maxRequests: 2, maxBytes: 250, perConcurrent: 1 };
  const fill = (over: (n: number) => Partial<RoutedRequest>) => {
    const { send, arrive } = rig(bounds);
    send({ type: 'agent', entry: shared });
    const told = [0, 1, 2].flatMap((n) => verdicts(arrive(`r${n}`, over(n))));
    return told.map((one) => one.kind === 'queue_full' && one.bound);
  };
  assert.deepEqual(
    fill(() => ({})),
    ['requests'],
  );
  assert.deepEqual(
    fill(() => ({ bodyBytes: 200 })),
    ['bytes', 'bytes'],
  );
  const { send, arrive } = rig({ perConcurrent: 0.2 });
  send({ type: 'agent', entry: shared });
  const free = endpoint({ tier: 'free' });
  arrive('r1', free);
  const [full] = verdicts(arrive('r2', free));
  assert.ok(full?.kind === 'queue_full' && full.bound === 'project' && full.limit === 1);
  const project = projectEntry({ id: 'proj_b' });
  assert.deepEqual(verdicts(arrive('r3', { project, ...free })), []);
});

test('a waiting request goes by settings that its endpoint has no more', () => {
  const { agent, arrive, send, grant, scheduler } = rig();
  const bound = agentEntry({ id: 'bound', projectId: 'proj_a', boundEndpointIds: ['ep_a'] });
  agent(own);
  agent(bound);
  arrive('r1');
  arrive('r2');
  const off = { enabled: false, afterMs: 0, tier: null };
  arrive('r3', endpoint({ fallback: off }));
  const settings = { project: projectEntry(), model: routedRequest().model };
  const exclusive = endpointEntry({ exclusive: true, fallback: off });
  assert.deepEqual(send({ type: 'endpoint', endpoint: exclusive, ...settings }), []);
  assert.deepEqual(grant('own', { slots: 4 }), [], 'M3: an exclusive endpoint uses nobody else');
  agent(shared);
  assert.equal(scheduler.counts().waiting, 1);
  // Open again, with fallback: both of them may serve it now.
  const commands = send({ type: 'endpoint', endpoint: endpointEntry(), ...settings });
  assert.equal(onlyDispatch(commands).agentId, 'own');
});

test('a request that waits for an endpoint without hope any more waits on', () => {
  const { agent, arrive, send } = rig();
  agent(own);
  arrive('r1');
  arrive('r2', { id: 'r2' });
  const microvm = endpointEntry({ minimumIsolation: 'microvm' });
  const project = projectEntry();
  const commands = send({
    type: 'endpoint',
    endpoint: microvm,
    project,
    model: routedRequest().model,
  });
  assert.deepEqual(
    verdicts(commands).map((verdict) => verdict.kind),
    ['no_agent_available'],
  );
});

test('a request leaves its region, or the near ones, where nothing is gained by it', () => {
  const far = agentEntry({ id: 'far', projectId: 'proj_a', region: 'us-1' });
  const near = agentEntry({ id: 'near', projectId: 'proj_a', region: 'eu-2' });
  const same = agentEntry({ id: 'same', projectId: 'proj_a', region: 'EU-1' });
  const { agent, arrive, send } = rig();
  for (const entry of [far, near, same]) agent(entry, { slots: 4 });
  send({ type: 'regions', map: { groups: [['eu-1', 'eu-2']] } });
  const inEurope = endpoint({ region: 'eu-1' });
  const served = (id: string, over: Partial<RoutedRequest>): string =>
    onlyDispatch(arrive(id, over)).agentId;
  // Each has one more to do after its turn, so that the next one is the least loaded.
  assert.deepEqual(
    ['r1', 'r2', 'r3', 'r4'].map((id) => served(id, inEurope)),
    ['same', 'near', 'far', 'same'],
  );
  assert.equal(served('r5', { ...inEurope, region: 'us-1' }), 'far', 'the caller knows better');
});

test('nothing is foreseen of a new machine whose agent has timed it', () => {
  const { agent, arrive, grant } = rig();
  agent(shared, { slots: 4 });
  assert.equal(onlyDispatch(arrive('r1')).predicted, null);
  // The answer that was timed comes when the model serves already.
  grant('shared', { slots: 4, speed: { firstByteMs: 50, perTokenMs: 20 } });
  assert.ok((onlyDispatch(arrive('r2')).predicted?.ttftMs ?? 0) >= 50);
});

test('without a map a machine across the sea gets as much as one in the next rack', () => {
  const { agent, arrive, send } = rig();
  for (const [id, rttMs] of [
    ['sea', 140],
    ['rack', 1],
  ] as const) {
    agent(agentEntry({ id, projectId: 'proj_a', region: `in-${id}` }), { slots: 4 });
    send({ type: 'rtt', agentId: id, nonce: 'n0', rttMs: 0.1 });
    send({ type: 'rtt', agentId: id, nonce: 'n1', rttMs });
  }
  assert.equal(onlyDispatch(arrive('r1')).agentId, 'rack');
  assert.equal(onlyDispatch(arrive('r2')).agentId, 'sea', 'the other one is at work');
});
