/** What needs a store of its own: opening, migrating and closing, and listeners that stay. */
import assert from 'node:assert/strict';
import { readDirectory } from '../../store/readDirectory.ts';
import { StoreError } from '../../store/storeError.ts';
import type { StoreCases } from './storeCases.ts';
import { bootstrapRows, revocation } from '../database/storeRows.ts';

/** These get a store that is not open yet, on an empty database. */
export const unopenedCases: StoreCases = {
  'processes that start at once migrate over each other (M1)': async ({ store, another }) => {
    const stores = [store, another(), another(), another()];
    await Promise.all(stores.map((each) => each.open()));
    const answers = await Promise.all(stores.map((each) => each.isBootstrapped()));
    assert.deepEqual(answers, [false, false, false, false]);
    await Promise.all(stores.map((each) => each.close()));
  },

  'a store that was never opened hangs, or cannot be closed': async ({ store }) => {
    await assert.rejects(store.isBootstrapped(), { name: 'StoreError', kind: 'unavailable' });
    await store.close();
  },
};

export const openingCases: StoreCases = {
  'a database of a newer program is opened and damaged': async ({ store, another, sql }) => {
    await store.close();
    await sql("insert into migrations (version, name, applied_at) values (9999, 'later', 'now')");
    const late = another();
    await assert.rejects(late.open(), (error) => {
      assert.ok(error instanceof StoreError);
      assert.equal(error.kind, 'too_new');
      assert.match(error.message, /9999/);
      return true;
    });
    await sql('delete from migrations where version = 9999');
    await late.open();
    assert.equal(await late.isBootstrapped(), false);
    await late.close();
  },

  'what was acknowledged is gone after a restart': async ({ store, another }) => {
    await store.bootstrap(bootstrapRows());
    const before = await readDirectory(store);
    await store.close();
    const again = another();
    await again.open();
    assert.deepEqual(await readDirectory(again), before);
    await again.close();
  },

  'a call on a closed store hangs': async ({ store }) => {
    await store.close();
    await assert.rejects(store.isBootstrapped(), { name: 'StoreError', kind: 'unavailable' });
    await assert.rejects(store.deleteSession('a'), { name: 'StoreError', kind: 'unavailable' });
    await store.close();
  },

  'closing drops the calls that were made before': async ({ store, another }) => {
    const calls = Array.from({ length: 20 }, (_none, at) =>
      store.settingOrInsert(`name-${at}`, 'value'),
    );
    const [results] = await Promise.all([Promise.allSettled(calls), store.close()]);
    const again = another();
    await again.open();
    for (const [at, result] of results.entries()) {
      const stored = await again.setting(`name-${at}`);
      // One that was not taken any more says so and has left nothing.
      assert.equal(stored, result.status === 'fulfilled' ? 'value' : null);
    }
    assert.ok(results.some(({ status }) => status === 'fulfilled'));
    await again.close();
  },

  'the store takes calls without end while the database is slow': async ({ store }) => {
    const calls = Array.from({ length: 5_000 }, () => store.setting('a'));
    const results = await Promise.allSettled(calls);
    const refused = results.filter((result) => result.status === 'rejected');
    assert.ok(refused.length > 0, 'nothing was refused');
    for (const { reason } of refused) {
      assert.ok(reason instanceof StoreError);
      assert.equal(reason.kind, 'unavailable');
    }
    assert.equal(await store.setting('a'), null);
  },

  'two writers of one setting get different values': async ({ store, another }) => {
    const other = another();
    await other.open();
    const answers = await Promise.all(
      ['a', 'b', 'c', 'd'].flatMap((value) => [
        store.settingOrInsert('key', value),
        other.settingOrInsert('key', value),
      ]),
    );
    assert.equal(new Set(answers).size, 1);
    assert.equal(await other.setting('key'), answers[0]);
    assert.equal(await other.setting('none'), null);
    await other.close();
  },

  'nobody hears of a change, or a listener that throws silences others': async ({ store }) => {
    let heard = 0;
    const hint = Promise.withResolvers<void>();
    store.onChange(() => {
      throw new Error('a listener failed');
    });
    const remove = store.onChange(() => {
      heard += 1;
      hint.resolve();
    });
    await store.bootstrap(bootstrapRows());
    await hint.promise;
    assert.ok(heard >= 1);
    remove();
    heard = 0;
    const second = Promise.withResolvers<void>();
    store.onChange(second.resolve);
    await store.revokeApiKey(revocation('key_a'));
    await second.promise;
    assert.equal(heard, 0, 'a removed listener was called');
  },
};
