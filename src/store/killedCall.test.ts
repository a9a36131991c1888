/** kill -9 in the middle of calls under idempotency keys (C5, C4), on both databases. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import { systemRandom } from '../lib/random.ts';
import { startPostgres } from '../testing/database/postgres.ts';
import { bootstrapRows, startMs } from '../testing/database/storeRows.ts';
import { openStore } from './openStore.ts';
import type { Store } from './store.ts';

const postgres = await startPostgres();
const directory = mkdtempSync(path.join(tmpdir(), 'xim-killed-'));
after(async () => {
  if (postgres.kind === 'started') await postgres.stop();
  rmSync(directory, { recursive: true, force: true });
});

const parts = { log: silentLogger, clock: systemClock, random: systemRandom };
const program = path.join(import.meta.dirname, '../testing/database/idempotentWriter.ts');
const rounds = 4;
/** Calls that have begun when the process is killed; the moment is a little later. */
const callsBefore = 40;

/** Runs the writer, kills it, and says which calls it began. */
async function killedWriter(url: string, run: string): Promise<string[]> {
  const child = spawn(process.execPath, [program, url, run], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const began: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    began.push(line);
    if (began.length >= callsBefore + Number(run)) child.kill('SIGKILL');
  }
  return began;
}

/** The same call again, after the time in which the first may still run. */
async function repeat(store: Store, key: string): Promise<'first' | 'answered' | 'lost'> {
  const nowMs = startMs + 120_000;
  const outcome = await store.claimIdempotencyKey({
    caller: 'user:user_a',
    key,
    claimId: 'second',
    requestSha256: key,
    nowMs,
    abandonedBeforeMs: nowMs - 60_000,
    expiresAtMs: nowMs + 86_400_000,
  });
  if (outcome.ok) return outcome.answer === null ? 'first' : 'answered';
  assert.equal(outcome.reason, 'answer_lost');
  return 'lost';
}

async function checkKilledCalls(url: string): Promise<void> {
  const store = await openStore({ url, ...parts });
  await store.bootstrap(bootstrapRows());
  for (let round = 0; round < rounds; round += 1) {
    const began = await killedWriter(url, String(round));
    assert.ok(began.length >= callsBefore, 'the writer ended too early');
    for (const key of began) {
      const made = (await store.joinKeyById(key)) !== null;
      // Whoever may do it again must find it undone; whoever is told that it is done, done.
      assert.equal((await repeat(store, key)) === 'first', !made, key);
      const page = { after: null, limit: 10 };
      const { items } = await store.auditNotes({ projectId: 'proj_a', targetId: key, page });
      assert.equal(items.length, made ? 1 : 0, `${key} and its note`);
    }
  }
  await store.close();
}

void test('SQLite: a call that was carried out before kill -9 may be made again', async () => {
  await checkKilledCalls(path.join(directory, 'killed.db'));
});

void test(
  'PostgreSQL: a call that was carried out before kill -9 may be made again',
  {
    skip: postgres.kind === 'missing' ? postgres.reason : false,
  },
  async () => {
    assert.ok(postgres.kind === 'started');
    await checkKilledCalls(await postgres.createDatabase());
  },
);
