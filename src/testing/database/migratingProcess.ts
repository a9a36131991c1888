/**
 * A process that brings a database to the newest version, for tests that kill it: `<url> <n>` kills
 * itself with -9 after its n-th statement, the last of which is the commit. One that gets to the
 * end prints how many statements it ran.
 */
import { writeSync } from 'node:fs';
import { migrate } from '../../store/migrate.ts';
import { openRaw } from '../schemaHistory/rawDatabase.ts';

const [url = '', last = ''] = process.argv.slice(2);
let statements = 0;
const raw = openRaw({
  url,
  log: () => {
    statements += 1;
    if (statements === Number(last)) process.kill(process.pid, 'SIGKILL');
  },
});
await migrate(raw.db, raw.dialect);
writeSync(1, `${statements}\n`);
await raw.close();
