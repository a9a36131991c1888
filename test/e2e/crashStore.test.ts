/**
 * A server that dies under load, at any moment and right behind a commit; `npm run proofs --
 * crash-store` does it for longer.
 */
import { after, test } from 'node:test';
import { CrashedServer } from '../../src/testing/crashStore/crashedServer.ts';
import { endLeftovers } from '../../src/testing/processes/processes.ts';
import { startPostgres } from '../../src/testing/database/postgres.ts';

const postgres = await startPostgres();
after(async () => {
  endLeftovers();
  if (postgres.kind === 'started') await postgres.stop();
});

async function crashTwice(databaseUrl?: string): Promise<void> {
  const rig = await CrashedServer.open(databaseUrl);
  try {
    await rig.crash({ kind: 'time', afterMs: 700 });
    await rig.crash({ kind: 'commit', number: 25 });
  } finally {
    await rig.close();
  }
}

test('SQLite: kill -9 loses an acknowledged change, or counts a request twice or never', () =>
  crashTwice());

test(
  'PostgreSQL: kill -9 loses an acknowledged change, or counts a request twice or never',
  { skip: postgres.kind === 'missing' ? postgres.reason : false },
  async () => {
    if (postgres.kind === 'started') await crashTwice(await postgres.createDatabase());
  },
);
