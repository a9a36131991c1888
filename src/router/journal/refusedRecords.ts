/**
 * Records that the store refused, each for itself, in files of their own: a segment need not stay
 * for one of them, nor memory hold them. All of them are tried anew in rounds, file by file.
 *
 * Invariants
 * F1 What is noted is on disk, synced, and stays there until the store has it. A file gives way
 *    whole, to nothing or to a smaller one: a kill at any moment leaves the one or the other.
 * F2 All files together are bounded, and memory holds the records of one. Of the others it holds
 *    the ids of what the store took while the file could not be written: nothing is taken twice.
 * F3 Files are numbered, not dated: no clock matters. Their names sort behind those of segments.
 */
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import { maxRefusedBytes, refusedFileBytes } from '../limits.ts';
import type { UsageRecord } from '../ports.ts';
import type { JournalFiles } from './journalFiles.ts';
import { readLines, refusedLine, type JournalLine, type Refusal } from './journalLines.ts';
import type { JournalReader } from './journalReader.ts';
import type { UnreadableLines } from './unreadableLines.ts';

/** A record, and why the store does not take it. */
export interface Refused {
  record: UsageRecord;
  reason: string;
}

interface Line {
  record: UsageRecord;
  refused: Refusal;
}

interface RefusedFile {
  name: string;
  bytes: number;
  records: number;
  /** Its last line is torn, or some line cannot be read: nothing is written behind it. */
  isTorn: boolean;
  /** Ids of records that the store has, and that the file still holds. */
  readonly taken: Set<string>;
}

const namePattern = /^refused-(\d+)\.jsonl$/;

/** Whether a file of the journal's folder is one of these. */
export const isRefusedFile = (name: string): boolean => namePattern.test(name);

export class RefusedRecords {
  private readonly files: JournalFiles;
  private readonly log: Logger;
  private readonly unreadable: UnreadableLines;
  private readonly reader: JournalReader;
  private readonly process: string;
  private readonly onRead: (name: string, requestIds: readonly string[]) => void;
  private kept: RefusedFile[] = [];
  /** The highest number that a file has had. */
  private created = 0;
  /** Files of the round that were not read yet. */
  private round: RefusedFile[] = [];
  private reading: RefusedFile | undefined;
  /** Of the file that is read: what is left of it, as it stands there. */
  private lines = new Map<string, Line>();

  constructor(options: {
    files: JournalFiles;
    random: Random;
    log: Logger;
    unreadable: UnreadableLines;
    reader: JournalReader;
    /** What stands in a file; nothing in one that is gone. */
    onRead?: (name: string, requestIds: readonly string[]) => void;
  }) {
    this.files = options.files;
    this.log = options.log;
    this.unreadable = options.unreadable;
    this.reader = options.reader;
    this.onRead = options.onRead ?? (() => {});
    this.process = options.random.bytes(8).toString('hex');
  }

  /** Records that wait here. */
  get records(): number {
    return this.kept.reduce((sum, one) => sum + one.records, 0);
  }

  get isEmpty(): boolean {
    return this.kept.length === 0;
  }

  get bytes(): number {
    return this.kept.reduce((sum, one) => sum + one.bytes, 0);
  }

  /** Takes over what an earlier process left: the ids of its requests. Undefined: not readable. */
  async adopt({ name, bytes }: { name: string; bytes: number }): Promise<string[] | undefined> {
    const file: RefusedFile = { name, bytes, records: 0, isTorn: true, taken: new Set() };
    this.kept.push(file);
    this.created = Math.max(this.created, Number(namePattern.exec(name)?.[1]));
    const content = await this.read(file);
    if (content === undefined) return this.kept.includes(file) ? undefined : [];
    const { lines, unreadable } = await readLines(content);
    file.isTorn = unreadable.length > 0 || content.at(-1) !== newline;
    const ids = new Set(lines.map(({ record }) => record.requestId));
    file.records = ids.size;
    return [...ids];
  }

  /** `full`: F2. `failed`: the disk does not take it now. */
  async note(batch: readonly Refused[]): Promise<'noted' | 'full' | 'failed'> {
    const { process } = this;
    const lines = batch.map(({ record, reason }) =>
      refusedLine({ record, refused: { reason, process } }),
    );
    const bytes = Buffer.from(lines.join(''));
    if (this.bytes + bytes.length > maxRefusedBytes) return 'full';
    const file = this.withRoom();
    try {
      await this.files.prepare();
      await this.files.extend(file.name, bytes);
    } catch (error) {
      this.log.error({ err: error }, 'refused records cannot be noted');
      await this.leave(file);
      return 'failed';
    }
    if (!this.kept.includes(file)) this.kept.push(file);
    file.bytes += bytes.length;
    file.records += batch.length;
    return 'noted';
  }

  /** All that are here now have their turn. */
  beginRound(): void {
    this.round = [...this.kept];
    this.reading = undefined;
  }

  /** The records of the round's next file; undefined: that was the last one. Never rejects. */
  async next(): Promise<UsageRecord[] | undefined> {
    for (let file = this.round.shift(); file !== undefined; file = this.round.shift()) {
      const content = await this.read(file);
      if (content === undefined) continue;
      this.reading = file;
      const { lines, unreadable } = await readLines(content);
      if (unreadable.length > 0) file.isTorn = true;
      await this.unreadable.keep(file.name, unreadable);
      this.onRead(
        file.name,
        lines.map(({ record }) => record.requestId),
      );
      const left = lines.flatMap(lineOf).filter((one) => !file.taken.has(one.record.requestId));
      this.lines = new Map(left.map((one) => [one.record.requestId, one]));
      file.records = this.lines.size;
      return [...this.lines.values()].map((line) => this.recordOf(line));
    }
    return undefined;
  }

  /** The store has these of the file that was read. */
  taken(batch: readonly UsageRecord[]): void {
    for (const { requestId } of batch) {
      this.lines.delete(requestId);
      this.reading?.taken.add(requestId);
    }
  }

  /** All of the file have been tried. Never rejects: what stays for nothing goes another time. */
  async concludeFile(): Promise<void> {
    const file = this.reading;
    this.reading = undefined;
    if (file === undefined) return;
    const left = [...this.lines.values()];
    this.lines = new Map();
    file.records = left.length;
    try {
      if (left.length === 0) {
        await this.files.remove(file.name);
        this.kept = this.kept.filter((one) => one !== file);
      } else if (file.taken.size > 0 || file.isTorn) {
        const bytes = Buffer.from(left.map(refusedLine).join(''));
        await this.files.replace(file.name, bytes);
        Object.assign(file, { bytes: bytes.length, isTorn: false });
        file.taken.clear();
      }
    } catch (error) {
      this.log.warn({ err: error, file: file.name }, 'refused records that came through stay');
    }
  }

  /** The one that is read is written anew: nothing may come to it meanwhile. */
  private withRoom(): RefusedFile {
    const known = this.kept.find(
      (one) => one !== this.reading && !one.isTorn && one.bytes < refusedFileBytes,
    );
    if (known !== undefined) return known;
    this.created += 1;
    const name = `refused-${String(this.created).padStart(6, '0')}.jsonl`;
    return { name, bytes: 0, records: 0, isTorn: false, taken: new Set() };
  }

  /** A write failed, and may have left part of itself. */
  private async leave(file: RefusedFile): Promise<void> {
    file.isTorn = true;
    // Each try on a full disk would leave a file.
    if (!this.kept.includes(file)) await this.files.remove(file.name).catch(() => undefined);
  }

  /** Undefined when it cannot be read now, or is gone. */
  private async read(file: RefusedFile): Promise<Buffer | undefined> {
    const { name, bytes, records } = file;
    const read = await this.reader.read(name, { bytes, records });
    if (read.kind === 'read') return read.bytes;
    if (read.kind === 'failed') return undefined;
    this.kept = this.kept.filter((one) => one !== file);
    this.onRead(name, []);
    return undefined;
  }

  /** Nothing in this process has counted what another one was told. */
  private recordOf({ record, refused }: Line): UsageRecord {
    return refused.process === this.process ? record : { ...record, replayed: true };
  }
}

const newline = 0x0a;

function lineOf(line: JournalLine): Line[] {
  if (line.kind === 'begin') return [];
  return [{ record: line.record, refused: line.refused ?? { reason: '', process: '' } }];
}
