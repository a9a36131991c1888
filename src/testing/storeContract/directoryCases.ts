/** The directory: a snapshot, then numbered changes. */
import assert from 'node:assert/strict';
import type { Change, DirectoryStore } from '../../store/contract/directoryStore.ts';
import { directoryPageEntries } from '../../store/limits.ts';
import { readDirectory } from '../../store/readDirectory.ts';
import type { Store } from '../../store/store.ts';
import type { StoreCases } from './storeCases.ts';
import { projectEntry } from '../router/directoryEntries.ts';
import {
  agentRow,
  apiKeyRow,
  bootstrapRows,
  revocation,
  joinKeyRow,
  startMs,
  tokenHash,
} from '../database/storeRows.ts';
import { enrolled, enrollInput, withJoinKey } from './enrollCases.ts';
import { rotateToken } from './rotateToken.ts';

async function changesAfter(store: Store, revision: number, limit = 100): Promise<Change[]> {
  const outcome = await store.changesSince({ revision, limit });
  assert.ok(outcome.ok, 'a snapshot is needed');
  return outcome.changes;
}

/** Rotates the token of a new agent `count` times; each rotation is one change. */
async function rotate(store: Store, agentId: string, count: number): Promise<void> {
  for (let generation = 1; generation <= count; generation += 1) {
    await rotateToken(store, {
      agentId,
      presented: { generation, hash: tokenHash(agentId, generation) },
      generation,
      nextHash: tokenHash(agentId, generation + 1),
      nowMs: startMs,
    });
  }
}

export const directoryCases: StoreCases = {
  'the snapshot lacks something, or its revision is of another moment': async ({ store }) => {
    const empty = await readDirectory(store);
    assert.equal(empty.revision, 0);
    await withJoinKey(store);
    const agent = await enrolled(store, 1);
    const { revision, projects, endpoints, models, apiKeys, agents } = await readDirectory(store);
    // A project, a model, an endpoint, two keys, an agent.
    assert.equal(revision, 6);
    assert.deepEqual(projects, [projectEntry()]);
    assert.deepEqual(endpoints, bootstrapRows().endpoints);
    assert.equal(models.length, 1);
    assert.equal(apiKeys.length, 2);
    assert.deepEqual(
      agents.map(({ id, generation }) => [id, generation]),
      [[agent.id, 1]],
    );
    assert.equal('tokenHash' in (agents[0] ?? {}), false, 'a hash of a token leaves the store');
  },

  'changes come out of order, twice, without their entry or past the limit': async ({ store }) => {
    await withJoinKey(store);
    await enrolled(store, 1);
    const all = await changesAfter(store, 0);
    assert.deepEqual(
      all.map(({ revision, kind, id }) => [revision, kind, id]),
      [
        [1, 'project', 'proj_a'],
        [2, 'model', 'model_a'],
        [3, 'endpoint', 'ep_a'],
        [4, 'api_key', 'key_a'],
        [5, 'api_key', 'key_b'],
        [6, 'agent', 'agent-0001'],
      ],
    );
    const snapshot = await readDirectory(store);
    assert.deepEqual(
      all.map(({ entry }) => entry),
      [
        ...snapshot.projects,
        ...snapshot.models,
        ...snapshot.endpoints,
        ...snapshot.apiKeys.toSorted((a, b) => a.id.localeCompare(b.id)),
        ...snapshot.agents,
      ],
    );
    assert.deepEqual(await changesAfter(store, 2, 2), all.slice(2, 4));
    assert.deepEqual(await changesAfter(store, 6), []);
  },

  'a thing that is gone keeps its last entry': async ({ store, sql }) => {
    await withJoinKey(store);
    await sql("delete from api_keys where id = 'key_a'");
    const changes = await changesAfter(store, 3, 1);
    assert.deepEqual(changes, [{ revision: 4, kind: 'api_key', id: 'key_a', entry: null }]);
  },

  'a reader passes over a change that commits late (S6)': async ({ store, another }) => {
    const other = another();
    const reader = another();
    await Promise.all([other.open(), reader.open()]);
    await withJoinKey(store, { maxUses: 8 });
    const { revision: base } = await store.directoryHead();
    const agents = Array.from({ length: 8 }, (_none, at) => agentRow(at));
    const done = Promise.all(
      agents.map(async (agent, at) => {
        const writer = at % 2 === 0 ? store : other;
        await writer.enroll(enrollInput(agent));
        await rotate(writer, agent.id, 11);
      }),
    );
    const seen: number[] = [];
    const expected = Array.from({ length: 8 * 12 }, (_none, at) => base + at + 1);
    while (seen.length < expected.length) {
      const changes = await changesAfter(reader, seen.at(-1) ?? base, 10);
      seen.push(...changes.map(({ revision }) => revision));
    }
    await done;
    assert.deepEqual(seen, expected);
    await Promise.all([other.close(), reader.close()]);
  },

  'a snapshot mixes two moments': async ({ store, another }) => {
    const reader = another();
    await reader.open();
    await withJoinKey(store);
    const { id } = await enrolled(store, 1);
    const { revision: base } = await store.directoryHead();
    let isDone = false;
    const done = rotate(store, id, 40).then(() => {
      isDone = true;
    });
    do {
      const { revision, agents } = await readDirectory(reader);
      // Every rotation is one generation and one revision.
      assert.equal(agents[0]?.generation, revision - base + 1);
    } while (!isDone);
    await done;
    await reader.close();
  },

  'of many pages one is left out, or what changes while they are read': async ({ store }) => {
    const count = 2 * directoryPageEntries + 7;
    const keys = Array.from({ length: count }, (_none, at) =>
      apiKeyRow({ id: `key_${at}`, sha256: String(at).padStart(64, '0') }),
    );
    await store.bootstrap(bootstrapRows({ apiKeys: keys, joinKeys: [joinKeyRow()] }));
    let pages = 0;
    const changing: DirectoryStore = {
      ...store,
      async directoryPage(input) {
        const page = await store.directoryPage(input);
        if (input.kind !== 'api_key') return page;
        pages += 1;
        // Keys of the first page, and an agent: all agents are read by now.
        if (pages === 2) await store.revokeApiKey(revocation('key_0'));
        if (pages === 3) await enrolled(store, 1);
        return page;
      },
    };
    const read = await readDirectory(changing);
    assert.equal(pages, 3);
    const { revision } = await store.directoryHead();
    assert.equal(read.revision, revision);
    assert.deepEqual(new Set(read.apiKeys.map(({ id }) => id)), new Set(keys.map(({ id }) => id)));
    assert.equal(read.apiKeys.find(({ id }) => id === 'key_0')?.revoked, true);
    assert.equal(read.agents.length, 1);
    assert.deepEqual(await readDirectory(store), read);
  },

  'a directory is mixed with changes that are not kept any more': async ({ store }) => {
    await withJoinKey(store);
    let answers = 0;
    const forgetful: DirectoryStore = {
      ...store,
      async changesSince(input) {
        answers += 1;
        return answers === 1 ? { ok: false, reason: 'snapshot_needed' } : store.changesSince(input);
      },
    };
    assert.deepEqual(await readDirectory(forgetful), await readDirectory(store));
    const hopeless: DirectoryStore = {
      ...store,
      changesSince: () => Promise.resolve({ ok: false, reason: 'snapshot_needed' }),
    };
    await assert.rejects(readDirectory(hopeless), { kind: 'unavailable' });
  },

  'a reader that lags behind what is kept misses changes in silence': async ({ store }) => {
    const keys = Array.from({ length: 10_050 }, (_none, at) =>
      apiKeyRow({ id: `key_${at}`, sha256: String(at).padStart(64, '0') }),
    );
    await store.bootstrap(bootstrapRows({ apiKeys: keys, joinKeys: [joinKeyRow()] }));
    const { revision } = await store.directoryHead();
    assert.equal(revision, 10_053);
    const needed = { ok: false, reason: 'snapshot_needed' };
    assert.deepEqual(await store.changesSince({ revision: 0, limit: 10 }), needed);
    assert.deepEqual(await store.changesSince({ revision: 52, limit: 10 }), needed);
    assert.equal((await changesAfter(store, 53, 10)).length, 10);
    assert.deepEqual(await changesAfter(store, 10_053), []);
    // A reader from before a backup was restored.
    assert.deepEqual(await store.changesSince({ revision: 10_054, limit: 10 }), needed);
  },
};
