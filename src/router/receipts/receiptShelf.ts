/**
 * Receipts in segments: the newest in memory, the others on disk. Of those only the tables of
 * contents are in memory, eight bytes for each receipt; an id is looked for in all of them.
 *
 *     growing ──full──▶ closing ──written──▶ closed ──too old──▶ removed
 *
 * Invariants
 * T4 What cannot be written is lost and counted, and nobody waits for it.
 * T5 At most `maxReceipts` receipts in at most `maxReceiptBytes`: the oldest segment goes first.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { maxReceiptBytes, maxReceipts, receiptsPerPiece, receiptSyncMs } from '../limits.ts';
import type { Receipt } from './receipt.ts';
import type { EndedRequest, Surroundings } from './receiptCodec.ts';
import { receiptSegmentName, type ReceiptFiles } from './receiptFiles.ts';
import { idHash, OpenSegment, parseSegment, type Contents } from './receiptSegment.ts';

interface ClosedSegment {
  name: string;
  bytes: number;
  contents: Contents;
  /** Until its file is written. */
  held?: Buffer | undefined;
  /** There is a file of that name, be it of a part. */
  hasFile: boolean;
}

export interface ShelfState {
  /** Receipts that are there, and the bytes of their closed segments. */
  kept: number;
  bytes: number;
  /** Receipts that could not be written. */
  lost: number;
}

export class ReceiptShelf {
  private readonly files: ReceiptFiles;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly bounds: { receipts: number; bytes: number };
  /** Oldest first. */
  private closed: ClosedSegment[] = [];
  private open = new OpenSegment();
  private openName = '';
  private segments = 0;
  private lost = 0;
  /** Receipts of the open segment that its file has. */
  private synced = 0;
  /** Writes go one after the other. */
  private writing: Promise<void> = Promise.resolve();
  private phase: 'keeping' | 'stopped' = 'keeping';
  private timer: Timer | undefined;

  constructor(options: {
    files: ReceiptFiles;
    clock: Clock;
    log: Logger;
    bounds?: { receipts: number; bytes: number };
  }) {
    this.files = options.files;
    this.clock = options.clock;
    this.log = options.log;
    this.bounds = options.bounds ?? { receipts: maxReceipts, bytes: maxReceiptBytes };
  }

  /** Finds the segments of an earlier process, one after the other: nothing waits for it. */
  async start(): Promise<void> {
    this.keepSynced();
    try {
      for (const name of await this.files.list()) await this.adopt(name);
      await this.remove(this.takeOld());
    } catch (error) {
      this.log.warn({ err: error }, 'earlier receipts cannot be read');
    }
  }

  async stop(): Promise<void> {
    this.phase = 'stopped';
    this.timer?.cancel();
    await this.sync();
  }

  state(): ShelfState {
    const kept = this.closed.reduce((sum, one) => sum + one.contents.offsets.length, 0);
    const bytes = this.closed.reduce((sum, one) => sum + one.bytes, 0);
    return { kept: kept + this.open.count, bytes, lost: this.lost };
  }

  add(ended: EndedRequest, around: Surroundings): void {
    this.open.add(ended, around);
    if (this.open.isFull) this.close();
  }

  /** The newest receipt of this id; undefined: it is not kept, or not any more. */
  async find(requestId: string): Promise<Receipt | undefined> {
    const hash = idHash(requestId);
    const isIt = (receipt: Receipt): boolean => receipt.requestId === requestId;
    const here = matches(this.open.contents(), hash)
      .map((offset) => this.open.read(offset))
      .find(isIt);
    if (here !== undefined) return here;
    for (const segment of this.closed.toReversed()) {
      const offsets = matches(segment.contents, hash);
      if (offsets.length === 0) continue;
      const parsed = await this.read(segment);
      const found = offsets.flatMap((offset) => parsed?.read(offset) ?? []).find(isIt);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** All receipts, oldest first, in pieces that take no more than some ms. */
  async *all(): AsyncGenerator<Receipt[]> {
    for (const segment of this.closed.slice()) {
      const parsed = await this.read(segment);
      if (parsed !== null) yield* piecesOf(segment.contents, parsed.read);
    }
    const { open } = this;
    yield* piecesOf(open.contents(), (offset) => open.read(offset));
  }

  private async read(segment: ClosedSegment): Promise<ReturnType<typeof parseSegment>> {
    try {
      return parseSegment(segment.held ?? (await this.files.read(segment.name)));
    } catch (error) {
      this.log.warn({ err: error, segment: segment.name }, 'receipts cannot be read');
      return null;
    }
  }

  private async adopt(name: string): Promise<void> {
    const bytes = await this.files.read(name);
    const parsed = parseSegment(bytes);
    if (parsed === null) return this.files.remove(name);
    // Segments of this process are newer.
    const before = this.closed.findIndex((one) => one.name > name);
    const { contents } = parsed;
    const adopted = { name, bytes: bytes.length, contents, hasFile: true };
    this.closed.splice(before === -1 ? this.closed.length : before, 0, adopted);
  }

  /** The open segment is full: it goes to disk, and the next one begins. */
  private close(): void {
    const { open } = this;
    const bytes = open.toBytes();
    const name = this.nameOpen();
    const contents = open.contents();
    const hasFile = this.synced > 0;
    const segment: ClosedSegment = { name, bytes: bytes.length, contents, held: bytes, hasFile };
    this.open = new OpenSegment();
    this.openName = '';
    this.synced = 0;
    this.closed.push(segment);
    // T5 holds while the disk hangs, too.
    const old = this.takeOld();
    // What goes wrong is told in the queue.
    void this.queue(async () => {
      await this.remove(old);
      // Many were closed at once, and this one is too old already.
      const { held } = segment;
      if (held === undefined) return;
      try {
        segment.hasFile = true;
        await this.files.write(name, held);
        segment.held = undefined;
      } catch (error) {
        this.lost += contents.offsets.length;
        this.closed = this.closed.filter((one) => one !== segment);
        this.log.warn({ err: error }, 'receipts cannot be written');
      }
    });
  }

  private nameOpen(): string {
    if (this.openName === '') {
      this.segments += 1;
      this.openName = receiptSegmentName({ nowMs: this.clock.now(), number: this.segments });
    }
    return this.openName;
  }

  private keepSynced(): void {
    if (this.phase === 'stopped') return;
    this.timer = this.clock.setTimer(receiptSyncMs, () => {
      void this.sync().then(() => this.keepSynced());
    });
  }

  /** What the open segment has gained since goes to disk. */
  private sync(): Promise<void> {
    const { count } = this.open;
    if (count === this.synced) return this.writing;
    const name = this.nameOpen();
    this.synced = count;
    return this.queue(async () => {
      // It was closed meanwhile, and its file has all of it.
      if (name !== this.openName) return;
      try {
        await this.files.write(name, this.open.toBytes());
      } catch (error) {
        this.log.warn({ err: error }, 'receipts cannot be written');
      }
    });
  }

  private queue(write: () => Promise<void>): Promise<void> {
    this.writing = this.writing.then(write);
    return this.writing;
  }

  /** T5: those that are not kept any more. */
  private takeOld(): ClosedSegment[] {
    const old: ClosedSegment[] = [];
    while (this.isOver(this.state())) {
      const oldest = this.closed.shift();
      if (oldest === undefined) break;
      // Whoever waits to write it does not hold it in memory.
      oldest.held = undefined;
      old.push(oldest);
    }
    return old;
  }

  private async remove(old: readonly ClosedSegment[]): Promise<void> {
    for (const { name, hasFile } of old) {
      if (!hasFile) continue;
      try {
        await this.files.remove(name);
      } catch (error) {
        this.log.warn({ err: error, segment: name }, 'old receipts cannot be removed');
      }
    }
  }

  private isOver({ kept, bytes }: ShelfState): boolean {
    return kept > this.bounds.receipts || bytes > this.bounds.bytes;
  }
}

function matches({ hashes, offsets }: Contents, hash: number): number[] {
  const found: number[] = [];
  for (let at = hashes.indexOf(hash); at !== -1; at = hashes.indexOf(hash, at + 1)) {
    found.push(offsets[at] ?? 0);
  }
  return found;
}

function* piecesOf({ offsets }: Contents, read: (offset: number) => Receipt): Generator<Receipt[]> {
  for (let from = 0; from < offsets.length; from += receiptsPerPiece) {
    yield Array.from(offsets.subarray(from, from + receiptsPerPiece), read);
  }
}
