/**
 * The statements of each migration as they were when it was frozen, under
 * `test/goldens/schema/<dialect>/<version>.sql`. A migration that changes after it was released
 * would leave databases that already ran it without the change; so a test compares them, and
 * databases of earlier versions are made from these files.
 *
 * `XIM_UPDATE_GOLDENS=1` freezes what is not frozen yet, and writes again what has changed: right
 * for a migration that no release contains, wrong for any other.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { CompiledQuery } from 'kysely';
import { migrate, migrations } from '../../store/migrate.ts';
import type { Dialect } from '../../store/transaction.ts';
import { openRaw } from './rawDatabase.ts';

const folder = path.join(import.meta.dirname, '..', '..', '..', 'test', 'goldens');

/** For `assertGolden`. */
export function frozenName(dialect: Dialect, version: number): string {
  return path.join('schema', dialect, `${String(version).padStart(4, '0')}.sql`);
}

/** The text of a frozen step; undefined: not frozen yet. */
export function frozenStep(dialect: Dialect, version: number): string | undefined {
  const file = path.join(folder, frozenName(dialect, version));
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/** What the migration of `version` does today to the empty database of `url`, as SQL. */
export async function stepsOf(url: string): Promise<string[]> {
  let statements: string[] = [];
  const raw = openRaw({
    url,
    log: (event) => {
      if (event.level === 'query') statements.push(textOf(event.query));
    },
  });
  try {
    const texts: string[] = [];
    for (const { version } of migrations) {
      statements = [];
      await migrate(raw.db, raw.dialect, migrations.slice(0, version));
      texts.push(`${statements.filter(isOfStep).join(';\n\n')};\n`);
    }
    return texts;
  } finally {
    await raw.close();
  }
}

/** Statements of the frame around the migrations. */
const frame = /^(begin|commit|set local|pragma|select|create table if not exists "migrations")/;

const isOfStep = (statement: string): boolean => !frame.test(statement);

/** With its parameters in their places: a migration has few, all of them numbers or names. */
function textOf({ sql, parameters }: CompiledQuery): string {
  const text = sql.trim().replaceAll(/[^\S\n]+\n/g, '\n');
  let at = 0;
  return text.replaceAll(/\?|\$\d+/g, () => {
    const value = parameters[at];
    at += 1;
    return typeof value === 'number' ? String(value) : `'${String(value).replaceAll("'", "''")}'`;
  });
}
