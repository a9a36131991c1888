/** What `xim backup` does: the copy, its progress, and what else is to be kept. */
import { accessSync, constants, existsSync } from 'node:fs';
import path from 'node:path';
import type { CommandContext } from '../../cli/command.ts';
import { exitCodes } from '../../cli/exitCodes.ts';
import { directoryProblem } from '../../lib/files/makeDirectory.ts';
import { roundedSize } from '../../lib/text/quantities.ts';
import { userDataDirectory } from '../../lib/files/userDirectories.ts';
import { backupSqlite } from '../../store/sqlite/backupSqlite.ts';
import type { CopyProgress } from '../../store/sqlite/backupSqlite.ts';
import { StoreError } from '../../store/storeError.ts';
import { createProgressPrinter } from '../process/progressPrinter.ts';
import { StartupError } from '../process/startupError.ts';

export interface BackupRun {
  context: CommandContext;
  file: string;
  options: {
    readonly dataDir: string | undefined;
    readonly databaseUrl: string | undefined;
    readonly output: 'table' | 'json';
  };
}

/** Returns the exit code; throws a `StartupError` with a sentence. */
export async function backUp(
  run: BackupRun & { options: { readonly force: boolean } },
): Promise<number> {
  const { context, options } = run;
  const { directory, database } = embeddedDatabase(run);
  const file = path.resolve(run.file);
  requireWritable(path.dirname(file));
  const outcome = await backupSqlite({
    database,
    file,
    replace: options.force,
    onProgress: copyProgress(context, 'copying'),
  }).catch(asStartupError);
  if (!outcome.ok) throw refusal(outcome.reason, { directory, file });
  const keep = keptElsewhere.filter(({ name }) => existsSync(path.join(directory, name)));
  const { bytes, schemaVersion } = outcome;
  const answer = { file, bytes, schema_version: schemaVersion, keep_too: keep };
  const text = [
    `${file}: ${roundedSize(bytes)}, schema ${schemaVersion}.\n`,
    `Not in it, so keep these of ${directory} too:\n`,
    ...keep.map(({ name, why }) => `  ${name.padEnd(18)}${why}\n`),
    'Keep secrets.key and the backup in different places: who has both can act as the server.\n',
  ].join('');
  context.terminal.out(options.output === 'json' ? `${JSON.stringify(answer)}\n` : text);
  return exitCodes.done;
}

function requireWritable(directory: string): void {
  if (!existsSync(directory)) {
    throw new StartupError('failed', `There is no directory ${directory}; make it first.`);
  }
  try {
    accessSync(directory, constants.W_OK);
  } catch (error) {
    const why = directoryProblem(error);
    throw new StartupError('failed', `Nothing can be written to ${directory}: ${why}.`);
  }
}

/** Where the database is; throws when there is none of ours. */
export function embeddedDatabase({ context, options }: BackupRun): {
  directory: string;
  database: string;
} {
  if (options.databaseUrl !== undefined) {
    throw new StartupError(
      'usage',
      'This server keeps its data in PostgreSQL. Use pg_dump and pg_restore, as in ' +
        'docs/operating/backup-and-upgrade.md.',
    );
  }
  const where = options.dataDir ?? userDataDirectory('xim', context.env);
  const directory = path.resolve(where);
  return { directory, database: path.join(directory, 'xim.db') };
}

/** What a server needs besides its database. */
const keptElsewhere: readonly { name: string; why: string }[] = [
  {
    name: 'secrets.key',
    why: 'without it the database is worth nothing: tokens of agents, sealed secrets',
  },
  { name: 'credentials.json', why: 'the keys of this machine; the database has hashes of them' },
  { name: 'tls', why: 'the server’s own certificate, which agents have pinned' },
  { name: 'journal', why: 'the last requests, as long as they are not in the database' },
];

/** Prints how far a copy has got, to standard error. */
export function copyProgress(
  { terminal }: CommandContext,
  verb: string,
): (progress: CopyProgress) => void {
  const printer = createProgressPrinter({
    write: (text) => terminal.note(text),
    terminal: process.stderr.isTTY,
    columns: process.stderr.columns ?? 80,
  });
  let ended = false;
  return ({ doneBytes, totalBytes }) => {
    if (ended) return;
    ended = doneBytes >= totalBytes;
    const share = totalBytes === 0 ? 1 : doneBytes / totalBytes;
    const text = `${verb}: ${roundedSize(doneBytes)} of ${roundedSize(totalBytes)}`;
    // The last line stays.
    if (ended) printer.line(text);
    else printer.progress(verb, { share, text });
  };
}

function refusal(
  reason: 'no_database' | 'exists',
  { directory, file }: { directory: string; file: string },
): StartupError {
  if (reason === 'exists') {
    return new StartupError('failed', `${file} is there already; --force takes its place.`);
  }
  return new StartupError(
    'data_directory',
    `There is no database in ${directory}. Name the server’s data directory with --data-dir DIR; ` +
      'if it runs with --database-url, its data is in PostgreSQL: use pg_dump.',
  );
}

/** For `catch`: what the database or the disk is at fault for, as a sentence. */
export function asStartupError(error: unknown): never {
  if (!(error instanceof StoreError)) throw error;
  const { message } = error;
  throw new StartupError('database', `${message.charAt(0).toUpperCase()}${message.slice(1)}.`);
}
