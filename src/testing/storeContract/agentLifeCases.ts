/**
 * The stored life of an agent, against everything that its link writes meanwhile: fast-check mixes
 * orders of people, sightings, first links, refreshes and the sweep, several at a time and from two
 * stores.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { mayBecome } from '../../domain/agents/agentState.ts';
import type { StoredAgentState, StopMode } from '../../domain/directory.ts';
import { readDirectory } from '../../store/readDirectory.ts';
import type { Store } from '../../store/store.ts';
import { withAgent, withCatalogue } from '../router/catalogueRows.ts';
import { firstPage } from '../http/firstPage.ts';
import { auditNote, startMs, tokenHash } from '../database/storeRows.ts';
import type { StoreCases } from './storeCases.ts';
import { rotateToken } from './rotateToken.ts';

const by = { atMs: startMs, actor: 'user:user_a', reason: 'asked' };

const order = (store: Store, agentId: string, to: { state: StoredAgentState; mode?: StopMode }) =>
  store.setAgentState({ agentId, ...by, ...to, audit: auditNote({ targetKind: 'agent' }) });

type Step =
  | { kind: 'order'; state: StoredAgentState; mode: StopMode }
  | { kind: 'seen'; atMs: number }
  | { kind: 'linked'; atMs: number }
  | { kind: 'event' }
  | { kind: 'refresh' }
  | { kind: 'sweep'; linked: boolean }
  | { kind: 'patch'; region: string };

const kind = <Kind extends string>(name: Kind) => fc.constant(name);
const atMs = fc.integer({ min: startMs, max: startMs + 1_000_000 });
const state = fc.constantFrom<StoredAgentState[]>('suspended', 'suspended', 'enrolled', 'dead');
const mode = fc.constantFrom<StopMode[]>('drain', 'cut');
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: kind('order'), state, mode }) },
  { weight: 4, arbitrary: fc.record({ kind: kind('seen'), atMs }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('linked'), atMs }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('event') }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('refresh') }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('sweep'), linked: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('patch'), region: fc.constantFrom('a', 'b') }) },
);

async function run(store: Store, agentId: string, one: Step): Promise<void> {
  switch (one.kind) {
    case 'order':
      await order(store, agentId, { state: one.state, mode: one.mode });
      return;
    case 'seen':
      return store.markSeen([{ agentId, lastSeenAtMs: one.atMs }]);
    case 'linked':
      await store.markFirstLinked({ agentId, atMs: one.atMs });
      return;
    case 'event': {
      const event = { agentId, atMs: startMs, kind: 'connected', actor: 'agent', detail: '' };
      return store.insertAgentEvent(event);
    }
    case 'refresh':
      await refresh(store, agentId);
      return;
    case 'sweep': {
      const linkedAgentIds = one.linked ? [agentId] : [];
      const before = { pendingBeforeMs: startMs + 1, silentBeforeMs: startMs + 1 };
      await store.expireAgents({ ...before, linkedAgentIds, atMs: startMs, limit: 10 });
      return;
    }
    case 'patch':
      await store.updateAgent({
        agentId,
        projectId: 'proj_a',
        patch: { region: one.region },
        boundEndpointIds: undefined,
        expectedVersion: null,
        audit: auditNote({ targetKind: 'agent' }),
      });
  }
}

/** An agent has one refresh under way at most; more at once would be a copy of it. */
function withOneRefresh(batch: readonly Step[]): Step[] {
  const first = batch.findIndex((one) => one.kind === 'refresh');
  return batch.filter((one, at) => one.kind !== 'refresh' || at === first);
}

/** With the token that it has now: honest, so that no rule suspends it. */
async function refresh(store: Store, agentId: string): Promise<void> {
  const agent = await store.agentById(agentId);
  if (agent === null) return;
  const { generation, tokenHash: hash } = agent;
  const nextHash = tokenHash(agentId, generation + 1);
  const presented = { generation, hash };
  await rotateToken(store, { agentId, presented, generation, nextHash, nowMs: startMs });
}

const stateOfEvent: Readonly<Record<string, StoredAgentState>> = {
  suspended: 'suspended',
  resumed: 'enrolled',
  died: 'dead',
};

/** The states that the history tells, oldest first, without the repetition that a late cut is. */
async function toldStates(store: Store, agentId: string): Promise<StoredAgentState[]> {
  const { items } = await store.agentEvents({ agentId, page: firstPage });
  const states = items.toReversed().flatMap((event) => stateOfEvent[event.kind] ?? []);
  return states.filter((one, at) => one !== states[at - 1]);
}

/** What must be so whatever came before whatever. */
async function assertLife(store: Store, life: { agentId: string; batch: Step[]; was: Was }) {
  const { agentId, batch, was } = life;
  const now = await store.agentById(agentId);
  assert.ok(now !== null);
  const orders = batch.filter((one) => one.kind === 'order');
  const wants = (wanted: StoredAgentState) => orders.some((one) => one.state === wanted);
  const sweeps = batch.some((one) => one.kind === 'sweep' && !one.linked);
  if (was.state === 'dead' || wants('dead')) assert.equal(now.state, 'dead');
  else if ((was.state === 'suspended' || wants('suspended')) && !wants('enrolled') && !sweeps) {
    assert.equal(now.state, 'suspended', 'a link has undone what a person ordered');
  } else if (orders.length === 0 && !sweeps) assert.equal(now.state, was.state);
  const seen = batch.flatMap((one) => (one.kind === 'seen' ? [one.atMs] : []));
  assert.ok((now.lastSeenAtMs ?? 0) >= Math.max(was.lastSeenAtMs ?? 0, ...seen));
  if (was.firstLinkedAtMs !== null) assert.equal(now.firstLinkedAtMs, was.firstLinkedAtMs);
  const told = await toldStates(store, agentId);
  for (const [at, to] of told.entries()) {
    assert.ok(mayBecome({ from: told[at - 1] ?? 'enrolled', to }), told.join(' → '));
  }
  assert.equal(now.state, told.at(-1) ?? 'enrolled', 'the history ends with another state');
  const { agents } = await readDirectory(store);
  assert.equal(agents.find(({ id }) => id === agentId)?.stopMode, now.stopMode);
  return now;
}

type Was = NonNullable<Awaited<ReturnType<Store['agentById']>>>;

export const agentLifeCases: StoreCases = {
  'a drain cannot be cut short, or a cut becomes a drain again': async ({ store }) => {
    await withCatalogue(store);
    const agentId = await withAgent(store, 1);
    const become = async (wanted: StoredAgentState, how: StopMode): Promise<string> => {
      const outcome = await order(store, agentId, { state: wanted, mode: how });
      return outcome.ok ? outcome.agent.stopMode : outcome.reason;
    };
    const { revision } = await store.directoryHead();
    assert.equal(await become('suspended', 'drain'), 'drain');
    assert.equal(await become('suspended', 'cut'), 'cut');
    assert.equal(await become('suspended', 'drain'), 'cut', 'what was cut is over');
    assert.equal(await become('dead', 'drain'), 'drain');
    assert.equal(await become('dead', 'cut'), 'cut');
    assert.equal(await become('dead', 'cut'), 'dead');
    assert.equal((await store.directoryHead()).revision, revision + 4);
    const { items } = await store.agentEvents({ agentId, page: firstPage });
    assert.deepEqual(
      items.map((event) => event.kind),
      ['died', 'died', 'suspended', 'suspended', 'enrolled'],
    );
  },

  'an agent that drains and is resumed stays half suspended': async ({ store }) => {
    await withCatalogue(store);
    const agentId = await withAgent(store, 1);
    await order(store, agentId, { state: 'suspended', mode: 'drain' });
    const resumed = await order(store, agentId, { state: 'enrolled' });
    assert.ok(resumed.ok);
    const { state: now, stopMode, suspendedReason } = resumed.agent;
    assert.deepEqual([now, stopMode, suspendedReason], ['enrolled', 'cut', null]);
  },

  'some mix of orders and heartbeats brings an agent back, or kills one that lives': async (
    fixture,
  ) => {
    const { store } = fixture;
    const other = fixture.another();
    await other.open();
    await withCatalogue(store);
    let agents = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 5 }),
        async (batches) => {
          const agentId = await withAgent(store, (agents += 1));
          let was = await store.agentById(agentId);
          for (const mixed of batches) {
            assert.ok(was !== null);
            const batch = withOneRefresh(mixed);
            await Promise.all(
              batch.map((one, at) => run(at % 2 === 0 ? store : other, agentId, one)),
            );
            was = await assertLife(store, { agentId, batch, was });
          }
        },
      ),
      { numRuns: 25 },
    );
    await other.close();
  },
};
