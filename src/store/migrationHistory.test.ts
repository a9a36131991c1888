/**
 * Databases of every earlier version, brought to the newest one on both databases: nothing is lost,
 * the store reads and writes them, and neither several processes nor kill -9 gets in between.
 *
 * A new migration is found by itself. Its rows are made up until `historyRows.ts` names them, and
 * its statements are frozen with XIM_UPDATE_GOLDENS=1.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import { systemRandom } from '../lib/random.ts';
import { assertGolden } from '../testing/golden.ts';
import { startPostgres } from '../testing/database/postgres.ts';
import { endLeftovers, startProcess } from '../testing/processes/processes.ts';
import {
  contentsAt,
  earlierVersions,
  makeEarlier,
  versionsAt,
} from '../testing/schemaHistory/earlierDatabase.ts';
import { frozenName, frozenStep, stepsOf } from '../testing/schemaHistory/frozenSchema.ts';
import { checkReads, checkWrites } from '../testing/schemaHistory/historyChecks.ts';
import { assertKept, shapeOf } from '../testing/schemaHistory/keptContents.ts';
import { migrations } from './migrate.ts';
import { openStore } from './openStore.ts';
import type { Store } from './store.ts';
import type { Dialect } from './transaction.ts';

const postgres = await startPostgres();
const directory = mkdtempSync(path.join(tmpdir(), 'xim-history-'));
after(async () => {
  endLeftovers();
  if (postgres.kind === 'started') await postgres.stop();
  rmSync(directory, { recursive: true, force: true });
});

const newest = migrations.map(({ version }) => version);
const migrating = path.join(import.meta.dirname, '../testing/database/migratingProcess.ts');
const opening = path.join(import.meta.dirname, '../testing/database/openingProcess.ts');

async function withStore(url: string, use: (store: Store) => Promise<void>): Promise<void> {
  const parts = { log: silentLogger, clock: systemClock, random: systemRandom };
  const store = await openStore({ url, ...parts });
  try {
    await use(store);
  } finally {
    await store.close();
  }
}

/** Starts the processes, lets all of them open the database at once, and waits for their ends. */
async function openAtOnce(url: string, processes: number): Promise<void> {
  const running = Array.from({ length: processes }, () =>
    startProcess(process.execPath, [opening, url]),
  );
  await Promise.all(running.map((each) => each.seen(/^ready$/m)));
  for (const each of running) each.child.stdin?.write('\n');
  for (const each of running) {
    assert.equal(await each.exited, 0, each.err());
    assert.match(each.out(), /bootstrapped true/);
  }
}

/** How many statements it takes to migrate a copy that nobody kills. */
async function statementsOf(url: string): Promise<number> {
  const whole = startProcess(process.execPath, [migrating, url]);
  assert.equal(await whole.exited, 0, whole.err());
  return Number(whole.out());
}

/** First, last, and some between. */
function someOf(statements: number): number[] {
  const wanted = 6;
  const steps = Array.from({ length: wanted }, (_none, at) =>
    Math.round(1 + ((statements - 1) * at) / (wanted - 1)),
  );
  return [...new Set(steps)];
}

function historyTests(dialect: Dialect, newUrl: () => Promise<string>): void {
  void test('a migration was changed after it was frozen', async () => {
    const steps = await stepsOf(await newUrl());
    for (const [at, text] of steps.entries()) {
      const isFrozen = frozenStep(dialect, at + 1) !== undefined;
      const freezes = process.env['XIM_UPDATE_GOLDENS'] === '1';
      if (isFrozen || freezes) assertGolden(frozenName(dialect, at + 1), text);
    }
  });

  for (const version of earlierVersions) {
    void test(`version ${version}: rows are lost or unreadable after the upgrade`, async () => {
      const url = await newUrl();
      const before = await makeEarlier(url, version);
      for (const [table, rows] of Object.entries(before)) {
        assert.ok(rows.length > 0, `${table} has no rows: the test says nothing of it`);
      }
      await withStore(url, checkReads);
      assert.deepEqual(await versionsAt(url), newest);
      assertKept(before, await contentsAt(url));
      await withStore(url, checkWrites);
      const fresh = await newUrl();
      await withStore(fresh, async () => undefined);
      assert.deepEqual(await shapeOf(url), await shapeOf(fresh), 'another shape than a new one');
    });
  }

  void test('several processes that start at once upgrade over each other (M1)', async () => {
    const url = await newUrl();
    const before = await makeEarlier(url, 1);
    await openAtOnce(url, 3);
    assert.deepEqual(await versionsAt(url), newest);
    assertKept(before, await contentsAt(url));
  });

  void test('kill -9 leaves an upgrade half done (M2)', { timeout: 120_000 }, async () => {
    const whole = await newUrl();
    await makeEarlier(whole, 1);
    const statements = await statementsOf(whole);
    assert.ok(statements > 20, 'nothing to kill in between');
    for (const last of someOf(statements)) {
      const url = await newUrl();
      const before = await makeEarlier(url, 1);
      const killed = startProcess(process.execPath, [migrating, url, String(last)]);
      assert.equal(await killed.exited, 'SIGKILL', killed.err());
      // SQLite has one more statement, behind the commit.
      const committed = last >= statements - (dialect === 'sqlite' ? 1 : 0);
      assert.deepEqual(await versionsAt(url), committed ? newest : [1], `after statement ${last}`);
      if (!committed) assert.deepEqual(await contentsAt(url), before);
      await withStore(url, checkReads);
      assertKept(before, await contentsAt(url));
    }
  });
}

let files = 0;
void describe('on SQLite', () => {
  historyTests('sqlite', () => {
    files += 1;
    return Promise.resolve(path.join(directory, `${files}.db`));
  });
});

const skip = postgres.kind === 'missing' ? postgres.reason : false;
void describe('on PostgreSQL', { skip }, () => {
  historyTests('postgres', () => {
    assert.ok(postgres.kind === 'started');
    return postgres.createDatabase();
  });
});
