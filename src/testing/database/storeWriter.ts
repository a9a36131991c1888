/**
 * A process that writes settings to the embedded store, eight at a time and for ever, and prints
 * the name of each one once it is acknowledged: for tests that kill it.
 */
import { writeSync } from 'node:fs';
import { silentLogger } from '../../lib/log.ts';
import { createSqliteStore } from '../../store/sqlite/sqliteStore.ts';

const store = createSqliteStore({ path: process.argv[2] ?? '', log: silentLogger });
await store.open();

async function writeForEver(writer: number): Promise<never> {
  for (let at = 0; ; at += 1) {
    const name = `${writer}-${at}`;
    await store.settingOrInsert(name, `value of ${name}`);
    writeSync(1, `${name}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, (_none, writer) => writeForEver(writer)));
