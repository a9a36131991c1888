/** States of agents, sightings, expiry and events. */
import assert from 'node:assert/strict';
import type { Store } from '../../store/store.ts';
import type { StoreCases } from './storeCases.ts';
import { auditNote, startMs, userRow } from '../database/storeRows.ts';
import { agentsOf } from '../router/agentsOf.ts';
import { enrolled, withJoinKey } from './enrollCases.ts';

const { email: actorName } = userRow();
const by = { atMs: startMs + 100, actor: 'user:user_a', reason: 'moving house' };

async function revisionOf(store: Store): Promise<number> {
  return (await store.directoryHead()).revision;
}

const stateCases: StoreCases = {
  'a dead agent comes back': async ({ store }) => {
    await withJoinKey(store);
    const { id: agentId } = await enrolled(store, 1);
    const died = await store.setAgentState({ audit: auditNote(), agentId, state: 'dead', ...by });
    assert.ok(died.ok);
    assert.equal(died.agent.state, 'dead');
    for (const state of ['enrolled', 'suspended', 'dead'] as const) {
      assert.deepEqual(await store.setAgentState({ audit: auditNote(), agentId, state, ...by }), {
        ok: false,
        reason: 'dead',
      });
    }
    assert.deepEqual(
      await store.setAgentState({ audit: auditNote(), agentId: 'agent-x', state: 'dead', ...by }),
      {
        ok: false,
        reason: 'unknown',
      },
    );
  },

  'a change of state leaves no event, no change or no reason': async ({ store }) => {
    await withJoinKey(store);
    const { id: agentId } = await enrolled(store, 1);
    const revision = await revisionOf(store);
    const suspended = await store.setAgentState({
      audit: auditNote(),
      agentId,
      state: 'suspended',
      ...by,
    });
    assert.ok(suspended.ok);
    assert.equal(suspended.agent.suspendedReason, by.reason);
    assert.equal(suspended.agent.stateSinceMs, by.atMs);
    // Again: the same answer, and nothing written.
    assert.deepEqual(
      await store.setAgentState({
        audit: auditNote(),
        agentId,
        state: 'suspended',
        ...by,
        reason: 'another',
      }),
      suspended,
    );
    const resumed = await store.setAgentState({
      audit: auditNote(),
      agentId,
      state: 'enrolled',
      ...by,
      atMs: 7,
    });
    assert.ok(resumed.ok);
    assert.equal(resumed.agent.suspendedReason, null);
    assert.equal(await revisionOf(store), revision + 2);
    const { items: events } = await store.agentEvents({
      agentId: agentId,
      page: { after: null, limit: 10 },
    });
    assert.deepEqual(
      events.map(({ kind, actor, actorName, atMs, detail }) => [
        kind,
        actor,
        actorName,
        atMs,
        detail,
      ]),
      [
        ['resumed', by.actor, actorName, 7, by.reason],
        ['suspended', by.actor, actorName, by.atMs, by.reason],
        ['enrolled', 'agent', null, startMs + 1_000, 'enrolled'],
      ],
    );
  },

  'whose agent it is reads the address of an operator who is no member': async ({ store }) => {
    await withJoinKey(store);
    const { id: agentId } = await enrolled(store, 1);
    const operator = userRow({ id: 'user_operator', email: 'operator@example.org' });
    assert.ok((await store.insertUser({ user: operator, audit: auditNote() })).ok);
    const acts = { ...by, actor: 'user:user_operator' };
    await store.setAgentState({ audit: auditNote(), agentId, state: 'suspended', ...acts });
    const { items } = await store.agentEvents({ agentId, page: { after: null, limit: 1 } });
    assert.deepEqual([items[0]?.actor, items[0]?.actorName], [acts.actor, null]);
    const audited = { ...auditNote(), actor: acts.actor, projectId: 'proj_a' };
    await store.setAgentState({ audit: audited, agentId, state: 'enrolled', ...acts });
    const page = { after: null, limit: 1 };
    const namesFor = async (projectId: string | undefined) =>
      (await store.auditNotes({ projectId, page })).items.map(({ actor, actorName }) => [
        actor,
        actorName,
      ]);
    assert.deepEqual(await namesFor('proj_a'), [[acts.actor, null]]);
    assert.deepEqual(await namesFor(undefined), [[acts.actor, operator.email]]);
  },

  'a first link happens twice': async ({ store }) => {
    await withJoinKey(store);
    const { id: agentId } = await enrolled(store, 1);
    const revision = await revisionOf(store);
    const link = (atMs: number) => store.markFirstLinked({ agentId, atMs });
    assert.deepEqual(await link(startMs + 5), { ok: true, first: true });
    assert.deepEqual(await link(startMs + 9), { ok: true, first: false });
    assert.deepEqual(await store.markFirstLinked({ agentId: 'agent-x', atMs: 1 }), {
      ok: false,
      reason: 'unknown',
    });
    const agent = await store.agentById(agentId);
    assert.equal(agent?.firstLinkedAtMs, startMs + 5);
    assert.equal(agent?.lastSeenAtMs, startMs + 5);
    const changes = await store.changesSince({ revision, limit: 10 });
    assert.ok(changes.ok);
    assert.deepEqual(
      changes.changes.map(({ kind, id }) => [kind, id]),
      [['agent', agentId]],
    );
  },

  'a sighting reaches the directory, goes back in time or misses an agent': async ({ store }) => {
    await withJoinKey(store, { maxUses: 3 });
    await enrolled(store, 1);
    await enrolled(store, 2);
    await enrolled(store, 3);
    const revision = await revisionOf(store);
    // More than one statement takes, most of them of agents that are not there.
    const strangers = Array.from({ length: 1_200 }, (_none, at) => ({
      agentId: `stranger-${at}`,
      lastSeenAtMs: startMs,
    }));
    const seen = (agentId: string, lastSeenAtMs: number) => ({ agentId, lastSeenAtMs });
    await store.markSeen([seen('agent-0001', startMs + 7), ...strangers, seen('agent-0002', 5)]);
    await store.markSeen([seen('agent-0001', startMs + 6), seen('agent-0002', 8)]);
    await store.markSeen([]);
    const agents = await agentsOf(store, 'proj_a');
    assert.deepEqual(
      agents.map(({ lastSeenAtMs }) => lastSeenAtMs),
      [startMs + 7, 8, null],
    );
    assert.equal(await revisionOf(store), revision);
  },
};

const expiryCases: StoreCases = {
  'an agent that lives is declared dead, or a lost one never': async ({ store }) => {
    await withJoinKey(store, { maxUses: 8 });
    const [pending, young, silent, seen, suspended, present] = [
      await enrolled(store, 1),
      await enrolled(store, 2),
      await enrolled(store, 3),
      await enrolled(store, 4),
      await enrolled(store, 5),
      await enrolled(store, 6),
    ].map(({ id }) => id) as [string, string, string, string, string, string];
    const linked = [young, silent, seen, suspended, present];
    for (const agentId of linked) await store.markFirstLinked({ agentId, atMs: startMs });
    await store.markSeen([{ agentId: seen, lastSeenAtMs: startMs + 50 }]);
    await store.setAgentState({
      audit: auditNote(),
      agentId: suspended,
      state: 'suspended',
      ...by,
    });
    // Suspended and resumed: silent for long, and back for a moment only.
    await store.setAgentState({ audit: auditNote(), agentId: young, state: 'suspended', ...by });
    await store.setAgentState({ audit: auditNote(), agentId: young, state: 'enrolled', ...by });
    const sweep = { linkedAgentIds: [present], atMs: startMs + 200, limit: 100 };
    const first = await store.expireAgents({
      ...sweep,
      pendingBeforeMs: startMs,
      silentBeforeMs: startMs,
    });
    assert.deepEqual(first, []);
    const died = await store.expireAgents({
      ...sweep,
      pendingBeforeMs: startMs + 50,
      silentBeforeMs: startMs + 50,
    });
    assert.deepEqual(
      died.map(({ id, state, stateSinceMs }) => [id, state, stateSinceMs]),
      [
        [pending, 'dead', startMs + 200],
        [silent, 'dead', startMs + 200],
      ],
    );
    const actors = await Promise.all(
      [pending, silent].map(
        async (id) =>
          (await store.agentEvents({ agentId: id, page: { after: null, limit: 1 } })).items[0]
            ?.actor,
      ),
    );
    assert.deepEqual(actors, ['rule:never_linked', 'rule:silent_too_long']);
  },

  'silence kills although the operator said never, or more than asked die': async ({ store }) => {
    await withJoinKey(store, { maxUses: 4 });
    const linked = await enrolled(store, 1);
    await store.markFirstLinked({ agentId: linked.id, atMs: startMs });
    for (const number of [2, 3, 4]) await enrolled(store, number);
    const sweep = {
      pendingBeforeMs: startMs + 1_000_000,
      silentBeforeMs: null,
      linkedAgentIds: [],
      atMs: startMs + 9,
    };
    assert.equal((await store.expireAgents({ ...sweep, limit: 2 })).length, 2);
    assert.equal((await store.expireAgents({ ...sweep, limit: 2 })).length, 1);
    assert.equal((await store.expireAgents({ ...sweep, limit: 2 })).length, 0);
    assert.equal((await store.agentById(linked.id))?.state, 'enrolled');
  },
};

const eventCases: StoreCases = {
  'events of one agent fill the disk, or push out those of another': async ({ store, sql }) => {
    await withJoinKey(store, { maxUses: 2 });
    const { id: noisy } = await enrolled(store, 1);
    const { id: quiet } = await enrolled(store, 2);
    await sql(`
      with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 1500)
      insert into agent_events (agent_id, at_ms, kind, actor, detail)
      select '${noisy}', n, 'connected', 'agent', 'old' from numbers
    `);
    const event = { agentId: noisy, kind: 'connected', actor: 'agent', detail: 'new' };
    await Promise.all(
      Array.from({ length: 32 }, (_none, at) => store.insertAgentEvent({ ...event, atMs: at })),
    );
    const { items: events } = await store.agentEvents({
      agentId: noisy,
      page: { after: null, limit: 5_000 },
    });
    assert.equal(events.length, 1_000);
    const ids = events.map(({ id }) => id);
    assert.deepEqual(
      ids,
      ids.toSorted((a, b) => b - a),
    );
    assert.equal(events.filter(({ detail }) => detail === 'new').length, 32);
    assert.equal(
      (await store.agentEvents({ agentId: quiet, page: { after: null, limit: 10 } })).items.length,
      1,
    );
    assert.equal(
      (await store.agentEvents({ agentId: noisy, page: { after: null, limit: 3 } })).items.length,
      3,
    );
  },

  'a late event of an agent that is gone fails the batch that it came with': async ({ store }) => {
    await withJoinKey(store);
    await store.insertAgentEvent({
      agentId: 'agent-x',
      atMs: startMs,
      kind: 'connected',
      actor: 'agent',
      detail: '',
    });
    assert.deepEqual(
      (await store.agentEvents({ agentId: 'agent-x', page: { after: null, limit: 10 } })).items,
      [],
    );
  },
};

export const agentCases: StoreCases = { ...stateCases, ...expiryCases, ...eventCases };
