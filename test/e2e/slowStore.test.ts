/**
 * A database that takes a second for each write; `npm run proofs -- slow-store` has five, and
 * goes on for longer than a token lives.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { endLeftovers } from '../../src/testing/processes/processes.ts';
import { startPostgres } from '../../src/testing/database/postgres.ts';
import { SlowServer } from '../../src/testing/slowDatabase/slowServer.ts';

const postgres = await startPostgres();
after(async () => {
  endLeftovers();
  if (postgres.kind === 'started') await postgres.stop();
});

const writeMs = 1_000;

async function checkSlow(databaseUrl?: string): Promise<void> {
  const rig = await SlowServer.open({ agents: 2, databaseUrl });
  try {
    await rig.slowDown(writeMs);
    await rig.signIn();
    await rig.enrol('new');
    await rig.comeBack('new');
    const figures = await rig.finish();
    assert.equal(figures.notActive, 0, 'an agent looked disconnected');
    assert.equal(figures.unlinked, 0, 'an agent lost its link');
    assert.ok(figures.requests > 0);
    assert.equal(figures.failedRequests, 0, 'requests failed');
    assert.ok(figures.slowestFirstByteMs < writeMs, 'a request waited for the database');
    const [signInMs = 0] = figures.signInMs;
    assert.ok(signInMs >= writeMs, 'the database was not slow');
  } finally {
    await rig.close();
  }
}

test('SQLite: agents look dead, or nobody gets in, while the database is slow', () => checkSlow());

test(
  'PostgreSQL: agents look dead, or nobody gets in, while the database is slow',
  { skip: postgres.kind === 'missing' ? postgres.reason : false },
  async () => {
    if (postgres.kind === 'started') await checkSlow(await postgres.createDatabase());
  },
);
