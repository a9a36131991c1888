/** The writer of the embedded store on a disk that is as slow as a file says, in ms. */
import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

const prototype = DatabaseSync.prototype as unknown as Record<string, (sql: string) => void>;
const exec = prototype['exec'];
const asleep = new Int32Array(new SharedArrayBuffer(4));

function slowMs(): number {
  try {
    return Number(readFileSync(process.env['SLOW_COMMITS'] ?? '', 'utf8'));
  } catch {
    return 0;
  }
}

prototype['exec'] = function (this: DatabaseSync, sql) {
  // The thread stands still, as it would in an fsync.
  if (sql === 'commit') Atomics.wait(asleep, 0, 0, slowMs());
  exec?.call(this, sql);
};

await import('../../store/sqlite/sqliteWorker.ts');
