/**
 * A process that backs a database up or restores one, for tests that kill it: `backup|restore
 * <database> <file> <moment>`. At the moment (`copying`: some pages are copied; `checked`: the copy
 * is whole and nothing was replaced; `never`) it kills itself with -9. `exchanging` prints a line
 * at that place instead, and goes on until somebody kills it.
 */
import { writeSync } from 'node:fs';
import { backupSqlite } from '../../store/sqlite/backupSqlite.ts';
import type { CopyProgress } from '../../store/sqlite/backupSqlite.ts';
import { restoreSqlite } from '../../store/sqlite/restoreSqlite.ts';
import { startMs } from './storeRows.ts';

const [verb, database = '', file = '', moment] = process.argv.slice(2);

const die = (): void => void process.kill(process.pid, 'SIGKILL');

const onProgress = ({ doneBytes }: CopyProgress): void => {
  if (moment === 'copying' && doneBytes > 0) die();
};

if (verb === 'backup') {
  await backupSqlite({ database, file, replace: true, onProgress });
} else {
  await restoreSqlite({
    database,
    file,
    nowMs: startMs,
    onProgress,
    accept: () => {
      if (moment === 'checked') die();
      if (moment === 'exchanging') writeSync(1, 'exchanging\n');
      return Promise.resolve();
    },
  });
}
