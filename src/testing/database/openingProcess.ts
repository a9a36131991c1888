/**
 * A process that opens a store when it reads a line, and says what it found: for tests that let
 * several start at once.
 */
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { openStore } from '../../store/openStore.ts';

writeSync(1, 'ready\n');
await once(process.stdin, 'data');
const store = await openStore({
  url: process.argv[2] ?? '',
  log: silentLogger,
  clock: systemClock,
  random: systemRandom,
});
writeSync(1, `bootstrapped ${await store.isBootstrapped()}\n`);
await store.close();
process.exit(0);
