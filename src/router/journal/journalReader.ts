/**
 * Reads the journal's files. One that cannot be read is tried again by whoever wants it. After an
 * hour of that it is set aside under another name: nothing waits for it any more, nor reads it.
 * The log names it twice: when it cannot be read, and when it is set aside.
 */
import type { Clock } from '../../lib/clock.ts';
import type { LogFields, Logger } from '../../lib/log.ts';
import { unreadableForMs, unreadableTries } from '../limits.ts';
import type { JournalFiles } from './journalFiles.ts';

export type FileRead =
  | { kind: 'read'; bytes: Buffer }
  /** Not now. */
  | { kind: 'failed' }
  /** Nobody will read it here: somebody has removed it, or it was set aside. */
  | { kind: 'gone' };

/** That it could not be read, so often since then (monotonic ms). */
interface Failing {
  sinceMs: number;
  tries: number;
}

/** The process or the machine has no room: it says nothing about a file. */
const isOfTheMoment = ({ code = '' }: NodeJS.ErrnoException): boolean =>
  ['EMFILE', 'ENFILE', 'ENOMEM'].includes(code);

export class JournalReader {
  /** Files that were set aside, since the start. */
  setAside = 0;
  private readonly files: JournalFiles;
  private readonly clock: Clock;
  private readonly log: Logger;
  /** By name. */
  private readonly failing = new Map<string, Failing>();

  constructor({ files, clock, log }: { files: JournalFiles; clock: Clock; log: Logger }) {
    this.files = files;
    this.clock = clock;
    this.log = log;
  }

  /** Never rejects. `holds` says in the log what is lost with it. */
  async read(name: string, holds: LogFields): Promise<FileRead> {
    let bytes: Buffer | undefined;
    try {
      bytes = await this.files.read(name);
    } catch (error) {
      return this.failed({ name, holds, error: error as NodeJS.ErrnoException });
    }
    this.failing.delete(name);
    if (bytes !== undefined) return { kind: 'read', bytes };
    this.log.error({ file: name, ...holds }, 'a file of the journal was removed');
    return { kind: 'gone' };
  }

  private async failed(one: {
    name: string;
    holds: LogFields;
    error: NodeJS.ErrnoException;
  }): Promise<FileRead> {
    const { name, holds, error } = one;
    const nowMs = this.clock.monotonic();
    const known = this.failing.get(name);
    const { sinceMs, tries } = known ?? { sinceMs: nowMs, tries: 0 };
    if (known === undefined) {
      const message = 'a file of the journal cannot be read: it is tried again, for an hour';
      this.log.error({ err: error, file: name, ...holds }, message);
    }
    if (isOfTheMoment(error)) {
      this.failing.set(name, { sinceMs: nowMs, tries: 0 });
      return { kind: 'failed' };
    }
    this.failing.set(name, { sinceMs, tries: tries + 1 });
    // The tries count as well: a machine that slept for an hour has not tried for one.
    if (nowMs - sinceMs < unreadableForMs || tries < unreadableTries) return { kind: 'failed' };
    const keptAs = `${name}.${this.clock.now()}.unreadable`;
    try {
      await this.files.rename(name, keptAs);
    } catch {
      // It is not this file alone that is away: when the disk is back, so is the file.
      return { kind: 'failed' };
    }
    this.failing.delete(name);
    this.setAside += 1;
    const message =
      'a file of the journal could not be read for an hour and is set aside: ' +
      'when it can be, give it its old name and restart the server; otherwise remove it';
    this.log.error({ err: error, file: name, keptAs, ...holds }, message);
    return { kind: 'gone' };
  }
}
