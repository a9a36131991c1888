/**
 * The files of the journal, as a small interface, so that tests can fill the disk and slow it down.
 */
import {
  close,
  fdatasync,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  stat,
  unlink,
  write,
} from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

/** A segment that is open for appending. */
export interface JournalFile {
  /** Writes `bytes` at the end. Rejects with the system's error; part may have been written. */
  append(bytes: Buffer): Promise<void>;
  /** Asks the disk to keep what was written. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface JournalFiles {
  /** Makes the folder (mode 0700) where it is not there. */
  prepare(): Promise<void>;
  /** Names of the segments, oldest first, with their sizes: 0 where the disk does not tell. */
  list(): Promise<{ name: string; bytes: number }[]>;
  /** Undefined when it is not there any more. Rejects when it cannot be read (now). */
  read(name: string): Promise<Buffer | undefined>;
  /** Creates a segment (mode 0600). Rejects when it exists. */
  create(name: string): Promise<JournalFile>;
  remove(name: string): Promise<void>;
  rename(name: string, to: string): Promise<void>;
  /**
   * Writes at the end of a file, which is made where it is not there, and syncs it. When it rejects
   * with the system's error, part may have been written.
   */
  extend(name: string, bytes: Buffer): Promise<void>;
  /** The file has this content, synced, or rejects and is as it was. */
  replace(name: string, bytes: Buffer): Promise<void>;
}

const fs = {
  close: promisify(close),
  fdatasync: promisify(fdatasync),
  mkdir: promisify(mkdir),
  open: promisify(open),
  readdir: promisify(readdir),
  readFile: promisify(readFile),
  rename: promisify(rename),
  stat: promisify(stat),
  unlink: promisify(unlink),
  write: promisify(write),
};

const suffix = '.jsonl';

/** Segments in a folder of the disk. */
export function diskJournalFiles(folder: string): JournalFiles {
  const at = (name: string): string => path.join(folder, name);
  return {
    async prepare() {
      await fs.mkdir(folder, { recursive: true, mode: 0o700 });
    },
    async list() {
      const names = (await fs.readdir(folder)).filter((name) => name.endsWith(suffix)).toSorted();
      const sizeOf = (name: string): Promise<number> =>
        // Whoever reads it finds out, and does not end for it.
        fs.stat(at(name)).then(
          ({ size }) => size,
          () => 0,
        );
      return Promise.all(names.map(async (name) => ({ name, bytes: await sizeOf(name) })));
    },
    read: (name) =>
      fs.readFile(at(name)).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      }),
    create: async (name) => diskFile(await fs.open(at(name), 'ax', 0o600)),
    remove: (name) => fs.unlink(at(name)),
    rename: (name, to) => fs.rename(at(name), at(to)),
    extend: (name, bytes) => writeTo(at(name), 'a', bytes),
    async replace(name, bytes) {
      // One name for all, so that kills leave no more than one such file.
      await writeTo(at('replacement'), 'w', bytes);
      await fs.rename(at('replacement'), at(name));
    },
  };
}

function diskFile(descriptor: number): JournalFile {
  return {
    async append(bytes) {
      let written = 0;
      while (written < bytes.length) {
        const step = await fs.write(descriptor, bytes, written, bytes.length - written, null);
        written += step.bytesWritten;
      }
    },
    sync: () => fs.fdatasync(descriptor),
    close: () => fs.close(descriptor),
  };
}

async function writeTo(file: string, flag: 'a' | 'w', bytes: Buffer): Promise<void> {
  const opened = diskFile(await fs.open(file, flag, 0o600));
  try {
    await opened.append(bytes);
    await opened.sync();
  } finally {
    await opened.close();
  }
}

/** A segment's name: names sort by the time of their creation. */
export function segmentName(parts: { nowMs: number; number: number }): string {
  const time = String(parts.nowMs).padStart(15, '0');
  return `${time}-${String(parts.number).padStart(6, '0')}${suffix}`;
}
