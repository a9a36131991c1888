/**
 * Databases as earlier versions of the program left them: their tables made by the migrations as
 * they were when they were frozen (`frozenSchema.ts`), every table filled with rows.
 */
import { migrate, migrations } from '../../store/migrate.ts';
import { contentsOf, fillTables } from './fillTables.ts';
import type { Contents } from './fillTables.ts';
import { frozenStep } from './frozenSchema.ts';
import { openRaw } from './rawDatabase.ts';
import type { RawDatabase } from './rawDatabase.ts';

/** Versions from which a program may come, the newest left out. */
export const earlierVersions: readonly number[] = migrations
  .slice(0, -1)
  .map((each) => each.version);

/** Makes the database of `url`, which is empty, one of `version`, and says what is in it. */
export async function makeEarlier(url: string, version: number): Promise<Contents> {
  const raw = openRaw({ url });
  try {
    // With no migration to run, it makes the table that says which have run.
    await migrate(raw.db, raw.dialect, []);
    for (const { version: step } of migrations.slice(0, version)) await takeStep(raw, step);
    await fillTables(raw.any);
    return await contentsOf(raw.any);
  } finally {
    await raw.close();
  }
}

/** One that was not frozen yet runs as it is today. */
async function takeStep(raw: RawDatabase, version: number): Promise<void> {
  const frozen = frozenStep(raw.dialect, version);
  if (frozen === undefined) {
    await migrate(raw.db, raw.dialect, migrations.slice(0, version));
    return;
  }
  await raw.script(frozen);
}

/** What is in a database now. */
export async function contentsAt(url: string): Promise<Contents> {
  const raw = openRaw({ url });
  try {
    return await contentsOf(raw.any);
  } finally {
    await raw.close();
  }
}

/** The versions that a database says it has. */
export async function versionsAt(url: string): Promise<number[]> {
  const raw = openRaw({ url });
  try {
    const rows = await raw.db
      .selectFrom('migrations')
      .select('version')
      .orderBy('version')
      .execute();
    return rows.map((row) => row.version);
  } finally {
    await raw.close();
  }
}
