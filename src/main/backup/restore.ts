/** What `xim restore` does: lock, checks, exchange, and what to know afterwards. */
import path from 'node:path';
import { exitCodes } from '../../cli/exitCodes.ts';
import { KeyFileError } from '../../control/keyFile.ts';
import { openSecrets } from '../../control/secrets.ts';
import { signingKeySetting } from '../../control/signingKeys.ts';
import { roundedSize } from '../../lib/text/quantities.ts';
import { systemRandom } from '../../lib/random.ts';
import { restoreSqlite } from '../../store/sqlite/restoreSqlite.ts';
import type { RestoredSettings } from '../../store/sqlite/restoreSqlite.ts';
import { asStartupError, copyProgress, embeddedDatabase } from './backUp.ts';
import type { BackupRun } from './backUp.ts';
import { openDataDirectory } from '../firstStart/dataDirectory.ts';
import { createLogger } from '../process/logger.ts';
import { StartupError } from '../process/startupError.ts';

/** Returns the exit code; throws a `StartupError` with a sentence. */
export async function restore(run: BackupRun): Promise<number> {
  const { context, options } = run;
  const { directory, database } = embeddedDatabase(run);
  const file = path.resolve(run.file);
  const data = openDataDirectory(directory);
  try {
    const outcome = await restoreSqlite({
      file,
      database,
      nowMs: context.clock.now(),
      accept: (settings) => requireKey(data.file('secrets.key'), settings),
      onProgress: copyProgress(context, 'restoring'),
    }).catch(asStartupError);
    if (!outcome.ok) throw new StartupError('failed', `There is no ${file}.`);
    const { bytes, schemaVersion, kept } = outcome;
    const answer = { database, bytes, schema_version: schemaVersion, kept };
    const text = [
      `${database} is the backup now: ${roundedSize(bytes)}, schema ${schemaVersion}.\n`,
      kept === null ? '' : `The old database is ${kept}; remove it when all is well.\n`,
      ...afterwards.map((line) => `  ${line}\n`),
    ].join('');
    context.terminal.out(options.output === 'json' ? `${JSON.stringify(answer)}\n` : text);
    return exitCodes.done;
  } finally {
    data.release();
  }
}

const afterwards = [
  'Revoked, suspended, removed or changed after the backup is as it was then: do it again.',
  'Agents go on with their tokens; those that joined after the backup have to join again.',
  'Open join keys are revoked, and everybody signs in again.',
];

/** A database whose key is another one would stop the server at its next start. */
async function requireKey(file: string, settings: RestoredSettings): Promise<void> {
  // A database that never served has sealed nothing.
  if ((await settings.setting(signingKeySetting(1))) === null) return;
  const store = {
    setting: (name: string) => settings.setting(name),
    settingOrInsert: () => Promise.reject(new Error('a restore makes no signing key')),
  };
  const log = createLogger({ level: 'warn', name: 'xim' });
  try {
    await openSecrets({ file, store, random: systemRandom, log });
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error;
    throw new StartupError('data_directory', `Nothing was changed: ${error.message}.`);
  }
}
