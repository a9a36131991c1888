/** Projects and who may do what in them. */
import assert from 'node:assert/strict';
import { readDirectory } from '../../store/readDirectory.ts';
import type { Store } from '../../store/store.ts';
import {
  apiKeyRow,
  auditNote,
  bootstrapRows,
  firstPage,
  projectRow,
  startMs,
  userRow,
} from '../database/storeRows.ts';
import { enrolled, withJoinKey } from './enrollCases.ts';
import type { StoreCases } from './storeCases.ts';

const audit = auditNote({ action: 'project.create', targetKind: 'project' });

async function withUser(store: Store, id: string): Promise<void> {
  const user = userRow({ id, email: `${id}@example.org`, role: 'user' });
  assert.ok((await store.insertUser({ user, audit })).ok);
}

function insert(
  store: Store,
  slug: string,
  options: { ownerId?: string; limit?: number; sharesAlone?: boolean } = {},
) {
  const { ownerId = null, limit: ownedLimit = null, sharesAlone = false } = options;
  const project = projectRow({ id: `proj_${slug}`, slug, createdAtMs: startMs + 1 });
  return store.insertProject({ project, ownerId, ownedLimit, sharesAlone, audit });
}

export const projectCases: StoreCases = {
  'a project is not found by its slug, or a stranger has a role in it': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    await withUser(store, 'user_b');
    const project = projectRow();
    for (const name of ['proj_a', 'a']) {
      const access = (userId: string | null) => store.projectAccess({ project: name, userId });
      assert.deepEqual(await access('user_a'), { project, role: 'owner' });
      assert.deepEqual(await access('user_b'), { project, role: null });
      assert.deepEqual(await access(null), { project, role: null });
    }
    for (const name of ['proj_b', 'b', '', 'A', "a' or '1'='1"]) {
      assert.equal(await store.projectAccess({ project: name, userId: 'user_a' }), null);
    }
  },

  'projects are listed to those who are not in them, or lost between pages': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    await withUser(store, 'user_b');
    for (const slug of ['b', 'c', 'd']) await insert(store, slug, { ownerId: 'user_b' });
    const slugs = async (userId: string | null, limit: number): Promise<string[]> => {
      const seen: string[] = [];
      let after: readonly (string | number)[] | null = null;
      do {
        const page = await store.projectsOf({ userId, page: { after, limit } });
        seen.push(...page.items.map(({ project }) => project.slug));
        after = page.next;
      } while (after !== null);
      return seen;
    };
    assert.deepEqual(await slugs('user_b', 2), ['b', 'c', 'd']);
    assert.deepEqual(await slugs('user_a', 500), ['a']);
    assert.deepEqual(await slugs(null, 1), ['a', 'b', 'c', 'd']);
    assert.deepEqual(await slugs('user_x', 2), []);
  },

  'two projects share a slug, or the second leaves a half': async ({ store, another }) => {
    const other = another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    await withUser(store, 'user_b');
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_none, at) => {
        const project = projectRow({ id: `proj_${at}`, slug: 'same' });
        const by = at % 2 === 0 ? store : other;
        return by.insertProject({
          project,
          ownerId: 'user_b',
          ownedLimit: null,
          sharesAlone: false,
          audit,
        });
      }),
    );
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1);
    const { items } = await store.projectsOf({ userId: 'user_b', page: firstPage });
    assert.equal(items.length, 1);
    const taken = { ok: false, reason: 'slug_taken' };
    assert.deepEqual(await insert(store, 'a'), taken);
    await other.close();
  },

  'somebody owns more projects than the limit': async ({ store, another }) => {
    const other = another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    await withUser(store, 'user_b');
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, (_none, at) =>
        insert(at % 2 === 0 ? store : other, `p${at}`, { ownerId: 'user_b', limit: 3 }),
      ),
    );
    assert.equal(outcomes.filter(({ ok }) => ok).length, 3);
    const refused = outcomes.filter((outcome) => !outcome.ok);
    for (const outcome of refused) assert.ok(!outcome.ok && outcome.reason === 'too_many');
    await other.close();
  },

  'a changed project is not seen by the data plane, or an old change wins': async ({ store }) => {
    await store.bootstrap(bootstrapRows());
    const { revision } = await store.directoryHead();
    const change = { name: 'Lab', sharedAccess: false };
    const update = (expectedVersion: number | null, id = 'proj_a') =>
      store.updateProject({ id, expectedVersion, change, sharesAlone: true, audit });
    const updated = await update(1);
    const after = projectRow({ ...change, version: 2 });
    assert.deepEqual(updated, { ok: true, project: after });
    assert.deepEqual(await update(1), { ok: false, reason: 'version_conflict' });
    assert.deepEqual(await update(null, 'proj_x'), { ok: false, reason: 'unknown' });
    const changes = await store.changesSince({ revision, limit: 10 });
    assert.ok(changes.ok && changes.changes.length === 1);
    const { version: _version, createdAtMs: _createdAtMs, ...entry } = after;
    assert.deepEqual(changes.changes[0]?.entry, entry);
    const { items } = await store.auditNotes({ projectId: 'proj_a', page: firstPage });
    assert.deepEqual(items[0]?.changes, {
      name: { from: 'A', to: 'Lab' },
      sharedAccess: { from: true, to: false },
    });
  },

  'two projects come to share agents at one time': async ({ store, another }) => {
    const other = another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    const set = (by: Store, id: string, sharedAccess: boolean) => {
      const change = { sharedAccess };
      return by.updateProject({ id, expectedVersion: null, change, sharesAlone: true, audit });
    };
    const anotherShares = { ok: false, reason: 'another_shares' };
    assert.deepEqual(await insert(store, 'b', { sharesAlone: true }), anotherShares);
    assert.ok((await set(store, 'proj_a', false)).ok);
    const made = await Promise.all(
      Array.from({ length: 8 }, (_none, at) =>
        insert(at % 2 === 0 ? store : other, `race${at}`, { sharesAlone: true }),
      ),
    );
    assert.equal(made.filter(({ ok }) => ok).length, 1);
    assert.deepEqual(
      made.find(({ ok }) => !ok),
      anotherShares,
    );
    assert.deepEqual(await set(store, 'proj_a', true), anotherShares);
    const winner = `proj_race${made.findIndex(({ ok }) => ok)}`;
    // Who has it already keeps it, and says so again.
    assert.ok((await set(store, winner, true)).ok);
    assert.ok((await set(store, winner, false)).ok);
    const given = await Promise.all([set(store, 'proj_a', true), set(other, winner, true)]);
    assert.equal(given.filter(({ ok }) => ok).length, 1);
  },

  'a project that could still serve is deleted': async ({ store }) => {
    await withJoinKey(store);
    await enrolled(store, 1);
    const inUse = { ok: false, reason: 'in_use', endpoints: 1, agents: 1 };
    assert.deepEqual(await store.deleteProject({ id: 'proj_a', audit }), inUse);
    assert.notEqual(await store.projectAccess({ project: 'proj_a', userId: null }), null);
    const unknown = { ok: false, reason: 'unknown' };
    assert.deepEqual(await store.deleteProject({ id: 'proj_x', audit }), unknown);
  },

  'a deleted project leaves something that opens, or the data plane keeps it': async ({
    store,
    sql,
  }) => {
    await withJoinKey(store);
    const agent = await enrolled(store, 1);
    await store.setAgentState({
      agentId: agent.id,
      state: 'dead',
      atMs: startMs,
      actor: 'system',
      reason: 'test',
      audit,
    });
    const [key] = bootstrapRows().apiKeys;
    assert.ok(key);
    await sql("delete from api_keys where id = 'key_b'");
    await sql("delete from endpoints where project_id = 'proj_a'");
    const { revision } = await store.directoryHead();
    assert.deepEqual(await store.deleteProject({ id: 'proj_a', audit }), { ok: true });
    assert.equal(await store.projectAccess({ project: 'a', userId: 'user_a' }), null);
    assert.deepEqual((await store.projectsOf({ userId: 'user_a', page: firstPage })).items, []);
    assert.equal(await store.apiKeyByHash(key.sha256), null);
    assert.equal(await store.agentById(agent.id), null);
    const changes = await store.changesSince({ revision, limit: 10 });
    assert.ok(changes.ok);
    assert.deepEqual(
      changes.changes.map(({ kind, id, entry }) => [kind, id, entry]),
      [
        ['api_key', 'key_a', null],
        ['agent', agent.id, null],
        ['project', 'proj_a', null],
      ],
    );
    assert.ok((await insert(store, 'a')).ok, 'its slug is free again');
  },

  'a key is made in a project that is being deleted': async ({ store, another }) => {
    const other = another();
    await other.open();
    await store.bootstrap(bootstrapRows());
    const slugs = Array.from({ length: 12 }, (_none, at) => `p${at}`);
    for (const slug of slugs) await insert(store, slug);
    const outcomes = await Promise.all(
      slugs.flatMap((slug) => {
        const projectId = `proj_${slug}`;
        const key = apiKeyRow({ id: `key_${slug}`, projectId, sha256: slug.padStart(64, '0') });
        return [
          store.deleteProject({ id: projectId, audit }),
          other.insertApiKey({ key, livingLimit: 10, audit }),
        ];
      }),
    );
    for (const outcome of outcomes) {
      assert.ok(outcome.ok || outcome.reason === 'unknown_project', JSON.stringify(outcome));
    }
    const { apiKeys } = await readDirectory(store);
    assert.deepEqual(
      apiKeys.filter(({ projectId }) => slugs.includes(projectId.slice(5))),
      [],
    );
    await other.close();
  },
};
