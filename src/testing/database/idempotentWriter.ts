/**
 * A process that makes one join key after another, each under an idempotency key of its own and for
 * ever, eight at a time, and prints the key before it begins: for tests that kill it. The id of the
 * join key is that of its idempotency key.
 */
import { writeSync } from 'node:fs';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { openStore } from '../../store/openStore.ts';
import { auditNote, joinKeyRow, startMs } from './storeRows.ts';

const [url = '', run = ''] = process.argv.slice(2);
const parts = { log: silentLogger, clock: systemClock, random: systemRandom };
const store = await openStore({ url, ...parts });

async function makeForEver(writer: number): Promise<never> {
  for (let at = 0; ; at += 1) {
    const key = `${run}-${writer}-${at}`;
    writeSync(1, `${key}\n`);
    const claim = { caller: 'user:user_a', key, claimId: 'first' };
    await store.claimIdempotencyKey({
      ...claim,
      requestSha256: key,
      nowMs: startMs,
      abandonedBeforeMs: 0,
      expiresAtMs: startMs + 86_400_000,
    });
    await store.insertJoinKey({
      row: joinKeyRow({ id: key }),
      audit: auditNote({ claim, targetId: key }),
    });
    await store.keepIdempotentAnswer({ ...claim, status: 201, sealedBody: key });
  }
}

await Promise.all(Array.from({ length: 8 }, (_none, writer) => makeForEver(writer)));
