/** The files of receipts, as a small interface, so that tests need no disk and can fill one. */
import { mkdir, readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

export interface ReceiptFiles {
  /** Makes the folder (mode 0700) where it is not there, and lists its segments, oldest first. */
  list(): Promise<string[]>;
  /** Rejects when it is not there, or cannot be read. */
  read(name: string): Promise<Buffer>;
  /** Replaces a segment as a whole, or leaves it as it was. */
  write(name: string, bytes: Buffer): Promise<void>;
  remove(name: string): Promise<void>;
}

const suffix = '.receipts';

/** Segments in a folder of the disk. */
export function diskReceiptFiles(folder: string): ReceiptFiles {
  const at = (name: string): string => path.join(folder, name);
  return {
    async list() {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const names = await readdir(folder);
      return names.filter((name) => name.endsWith(suffix)).toSorted();
    },
    read: (name) => readFile(at(name)),
    async write(name, bytes) {
      await writeFile(at(`${name}.new`), bytes, { mode: 0o600 });
      await rename(at(`${name}.new`), at(name));
    },
    remove: (name) => unlink(at(name)),
  };
}

/** A segment's name: names sort by the time of their creation. */
export function receiptSegmentName(parts: { nowMs: number; number: number }): string {
  const time = String(parts.nowMs).padStart(15, '0');
  return `${time}-${String(parts.number).padStart(6, '0')}${suffix}`;
}
