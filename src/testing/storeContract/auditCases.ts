/** Audit notes: one with each change, none without one (S7, C4). */
import assert from 'node:assert/strict';
import type { AuditQuery, NamedAuditRow } from '../../store/contract/auditStore.ts';
import type { Store } from '../../store/store.ts';
import type { Place } from '../../lib/page.ts';
import type { StoreCases } from './storeCases.ts';
import { enrolled, withJoinKey } from './enrollCases.ts';
import {
  apiKeyRow,
  auditNote,
  bootstrapRows,
  joinKeyRow,
  startMs,
  userRow,
} from '../database/storeRows.ts';

const everything = { after: null, limit: 100 };

async function notes(store: Store, query: Partial<AuditQuery> = {}): Promise<NamedAuditRow[]> {
  const { items } = await store.auditNotes({ projectId: undefined, ...query, page: everything });
  return items;
}

export const auditCases: StoreCases = {
  'a change leaves no note, two, or one that says something else (C4)': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const changes = { maxUses: { from: null, to: 1 }, tiers: { from: ['free'], to: null } };
    const audit = auditNote({ targetId: 'jk_1', changes });
    await store.insertJoinKey({ row: joinKeyRow({ id: 'jk_1' }), audit });
    const [note, ...more] = await notes(store);
    assert.ok(note);
    assert.deepEqual(more, []);
    const { claim: _claim, ...kept } = audit;
    const actorName = userRow().email;
    assert.deepEqual({ ...note, id: 0 }, { ...kept, id: 0, actorName });
  },

  'who did it has no name, or somebody else’s': async ({ store }) => {
    const rows = bootstrapRows();
    await store.bootstrap(rows);
    const { email } = userRow();
    const actors = { 'user:user_a': email, 'key:key_n': 'ci', 'user:gone': null, system: null };
    const row = apiKeyRow({ id: 'key_n', sha256: 'ab'.repeat(32), name: 'ci' });
    await store.insertApiKey({ key: row, livingLimit: 10, audit: auditNote() });
    for (const [at, actor] of Object.keys(actors).entries()) {
      const audit = auditNote({ actor });
      await store.insertJoinKey({ row: joinKeyRow({ id: `jk_${at}` }), audit });
    }
    const read = (await notes(store, { action: 'join_key.create' })).toReversed();
    const named = read.slice(-4).map(({ actor, actorName }) => [actor, actorName]);
    assert.deepEqual(Object.fromEntries(named), actors);
  },

  'a refused change, or one that came twice, leaves a note': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    await store.insertJoinKey({ row: joinKeyRow(), audit: auditNote() });
    const revocation = { id: 'jk_a', projectId: 'proj_a', nowMs: startMs };
    const audit = auditNote({ action: 'join_key.revoke' });
    await store.revokeJoinKey({ ...revocation, projectId: 'proj_b', audit });
    assert.equal((await notes(store)).length, 1);
    await store.revokeJoinKey({ ...revocation, audit });
    await store.revokeJoinKey({ ...revocation, audit });
    const actions = (await notes(store)).map(({ action }) => action);
    assert.deepEqual(actions, ['join_key.revoke', 'join_key.create']);
  },

  'a note does not say what the change found in the transaction': async ({ store }) => {
    await withJoinKey(store);
    const { id: agentId } = await enrolled(store, 1);
    const audit = auditNote({ action: 'agent.suspend', targetKind: 'agent', targetId: agentId });
    const by = { atMs: startMs, actor: 'user:user_a', reason: 'moving house' };
    await store.setAgentState({ agentId, state: 'suspended', ...by, audit });
    const [note] = await notes(store, { targetKind: 'agent' });
    assert.deepEqual(note?.changes, {
      state: { from: 'enrolled', to: 'suspended' },
      suspendedReason: { from: null, to: 'moving house' },
    });
  },

  'a change commits although its note cannot be written': async ({ store, sql }) => {
    await store.bootstrap(bootstrapRows());
    await sql('alter table audit_events rename to audit_events_away');
    const row = joinKeyRow({ id: 'jk_1' });
    await assert.rejects(store.insertJoinKey({ row, audit: auditNote() }));
    assert.equal(await store.joinKeyById('jk_1'), null);
  },

  'notes of one project show in another, or a filter lets others through': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const about = [
      { projectId: 'proj_a', actor: 'user:u1', atMs: startMs + 1 },
      { projectId: 'proj_b', actor: 'user:u1', atMs: startMs + 2 },
      { projectId: null, actor: 'user:u2', atMs: startMs + 3 },
      { projectId: 'proj_a', actor: 'key:k1', atMs: startMs + 4, action: 'join_key.renew' },
    ];
    for (const [at, over] of about.entries()) {
      const id = `jk_${at}`;
      const audit = auditNote({ ...over, targetId: id });
      await store.insertJoinKey({ row: joinKeyRow({ id }), audit });
    }
    const found = async (query: Partial<AuditQuery>): Promise<string[]> =>
      (await notes(store, query)).map(({ targetId }) => targetId);
    assert.deepEqual(await found({}), ['jk_3', 'jk_2', 'jk_1', 'jk_0']);
    assert.deepEqual(await found({ projectId: 'proj_a' }), ['jk_3', 'jk_0']);
    assert.deepEqual(await found({ actor: 'user:u1' }), ['jk_1', 'jk_0']);
    assert.deepEqual(await found({ action: 'join_key.renew' }), ['jk_3']);
    assert.deepEqual(await found({ targetId: 'jk_2' }), ['jk_2']);
    assert.deepEqual(await found({ targetKind: 'agent' }), []);
    assert.deepEqual(await found({ fromMs: startMs + 2, toMs: startMs + 4 }), ['jk_2', 'jk_1']);
    assert.deepEqual(await found({ projectId: 'proj_a', actor: 'user:u1' }), ['jk_0']);
  },

  'a page repeats a note or misses one, while new ones come': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const add = (at: number) => {
      const row = joinKeyRow({ id: `jk_${at}` });
      return store.insertJoinKey({ row, audit: auditNote({ targetId: `jk_${at}` }) });
    };
    for (let at = 0; at < 7; at += 1) await add(at);
    const seen: string[] = [];
    let after: Place | null = null;
    let extra = 100;
    do {
      const paged = await store.auditNotes({ projectId: undefined, page: { after, limit: 3 } });
      seen.push(...paged.items.map(({ targetId }) => targetId));
      after = paged.next;
      await add((extra += 1));
    } while (after !== null);
    assert.deepEqual(seen, ['jk_6', 'jk_5', 'jk_4', 'jk_3', 'jk_2', 'jk_1', 'jk_0']);
    const exact = await store.auditNotes({ projectId: 'proj_a', page: { after: [8], limit: 7 } });
    assert.equal(exact.items.length, 7);
    assert.equal(exact.next, null);
  },

  'old notes stay for ever, or young ones go': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    for (const at of [0, 1, 2, 3]) {
      const audit = auditNote({ targetId: `jk_${at}`, atMs: startMs + at });
      await store.insertJoinKey({ row: joinKeyRow({ id: `jk_${at}` }), audit });
    }
    const old = { beforeMs: startMs + 3, limit: 2 };
    assert.equal(await store.deleteOldAuditNotes(old), 2);
    assert.equal(await store.deleteOldAuditNotes(old), 1);
    assert.equal(await store.deleteOldAuditNotes(old), 0);
    assert.deepEqual(
      (await notes(store)).map(({ targetId }) => targetId),
      ['jk_3'],
    );
  },
};
