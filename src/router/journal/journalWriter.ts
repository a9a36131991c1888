/**
 * Puts lines into segments: the lines of one turn of the event loop in one write, one write at a
 * time, an fsync each second, a new segment at a size.
 *
 * Invariants
 * J1 Lines are written in the order in which they came. A line whose write failed is written again,
 *    whole, into a new segment: reading survives what a failed write left behind.
 * J2 Whoever waits for a line is called exactly once: when it is written, or when the disk fails or
 *    is too slow to wait for; answers never wait for a disk that is not there, nor for an fsync.
 * J3 What waits for the disk is bounded; `accepting` says when it is full. While the disk fails or
 *    hangs, what the store has got meanwhile needs no line any more and makes room.
 * J4 A line that nobody waits for goes out with the next one that somebody does, or by itself after
 *    `journalLingerMs`: a write through the thread pool was measured at 20 µs of CPU. What a later
 *    line of the same write makes needless is left out, and was never made.
 * J5 The names of this process's segments sort in the order of writing, whatever the clock does: a
 *    replay must not read a request's end before its begin.
 */
import { createBackoff, type Backoff } from '../../lib/backoff.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { SteadyMap } from '../../lib/memory/steadyMap.ts';
import { Histogram } from '../../lib/metrics/histogram.ts';
import type { Random } from '../../lib/random.ts';
import {
  assumedLineBytes,
  journalLingerMs,
  journalRetryFirstMs,
  journalRetryLongestMs,
  journalSegmentBytes,
  journalSlowWriteMs,
  journalSyncMs,
  maxPendingJournalBytes,
} from '../limits.ts';
import { segmentName, type JournalFile, type JournalFiles } from './journalFiles.ts';
import type { Segment, SegmentLedger } from './segmentLedger.ts';

interface Line {
  requestId: string;
  /** Made when it goes out; null: it has become needless. */
  text: string | (() => string) | null;
  /** What it counts for while it waits. */
  bytes: number;
  written: (() => void) | undefined;
  /** Memory does not hold its record: the segment that takes the line has to be read back. */
  spilled: boolean;
}

/**
 * Where the writer is. `lingering`: lines wait for company (J4). `failing`: the last write failed,
 * the next is tried after a while.
 */
type Phase = 'idle' | 'lingering' | 'scheduled' | 'writing' | 'failing' | 'stopped';

/** Seconds. */
const writeBounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];

export class JournalWriter {
  /** Times of writes that went well, in seconds. */
  readonly writes = new Histogram(writeBounds);
  private readonly files: JournalFiles;
  private readonly ledger: SegmentLedger;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly backoff: Backoff;
  private phase: Phase = 'idle';
  private pending: Line[] = [];
  private pendingBytes = 0;
  /** Pending lines that another of the same request makes needless. */
  private readonly replaceable = new SteadyMap<string, Line>();
  /** Somebody waits for one of the pending lines. */
  private urgent = false;
  private current: { file: JournalFile; segment: Segment } | undefined;
  private created = 0;
  /** The time in the newest name, ms since the epoch. */
  private namedAtMs = -Infinity;
  private unsynced = false;
  private ticker: Timer | undefined;
  private lingerTimer: Timer | undefined;
  private lingersSinceMs = 0;
  private writeStartedMs = 0;
  private inWrite: Line[] = [];
  private idle: (() => void)[] = [];
  private rotated: (() => void)[] = [];
  /** Segments that are being closed. */
  private closing: Promise<unknown> = Promise.resolve();
  private readonly onSegment: (event: 'spilled' | 'closed') => void;

  constructor(options: {
    files: JournalFiles;
    ledger: SegmentLedger;
    clock: Clock;
    random: Random;
    log: Logger;
    /** A segment holds lines to read back now, or was closed. */
    onSegment: (event: 'spilled' | 'closed') => void;
  }) {
    this.onSegment = options.onSegment;
    this.files = options.files;
    this.ledger = options.ledger;
    this.clock = options.clock;
    this.log = options.log;
    const delays = { firstMs: journalRetryFirstMs, longestMs: journalRetryLongestMs };
    this.backoff = createBackoff({ random: options.random, ...delays });
  }

  /** J3. False while the memory for lines that the disk has not taken is full. */
  get accepting(): boolean {
    return this.pendingBytes < maxPendingJournalBytes;
  }

  /** What the disk has not taken yet. */
  get bytesPending(): number {
    return this.pendingBytes;
  }

  /** Whether the last write failed. */
  get failing(): boolean {
    return this.phase === 'failing';
  }

  /** The disk fails, or a write hangs: nobody knows when lines go out again. */
  get stuck(): boolean {
    return this.failing || this.isSlow;
  }

  private get isSlow(): boolean {
    const sinceMs = this.clock.monotonic() - this.writeStartedMs;
    return this.phase === 'writing' && sinceMs >= journalSlowWriteMs;
  }

  /** Appends a line; `written` is called as J2 says. */
  append(line: {
    requestId: string;
    text: string;
    written?: (() => void) | undefined;
    spilled?: boolean;
  }): void {
    const { requestId, text, written, spilled = false } = line;
    // The disk is known to be away: the line waits in memory, and nobody waits for it.
    const waits = this.phase !== 'failing' && this.phase !== 'stopped';
    const replaced = this.replaceable.get(requestId);
    if (replaced !== undefined) replaced.text = null;
    const bytes = text.length;
    this.push({ requestId, text, bytes, written: waits ? written : undefined, spilled });
    if (!waits) written?.();
    this.hurry();
  }

  /** Appends a line that waits for company, and is needless where the next one goes with it. */
  appendReplaceable(line: { requestId: string; text: () => string }): void {
    const whole: Line = { ...line, bytes: assumedLineBytes, written: undefined, spilled: false };
    this.replaceable.set(line.requestId, whole);
    this.push(whole);
    if (this.phase === 'idle') this.linger();
  }

  private push(line: Line): void {
    this.pending.push(line);
    this.pendingBytes += line.bytes;
    this.tick();
  }

  /** What waits goes out at the end of this turn. */
  hurry(): void {
    if (this.pending.length === 0) return;
    this.urgent = true;
    if (this.phase !== 'idle' && this.phase !== 'lingering') return;
    this.phase = 'scheduled';
    setImmediate(() => this.writeSoon());
  }

  private linger(): void {
    this.phase = 'lingering';
    this.lingersSinceMs = this.clock.monotonic();
    // One timer for all who linger: it looks how long the last one has.
    if (this.lingerTimer === undefined) this.armLinger(journalLingerMs);
  }

  private armLinger(delayMs: number): void {
    this.lingerTimer = this.clock.setTimer(delayMs, () => {
      this.lingerTimer = undefined;
      if (this.phase !== 'lingering') return;
      const leftMs = this.lingersSinceMs + journalLingerMs - this.clock.monotonic();
      if (leftMs > 0) this.armLinger(leftMs);
      else this.hurry();
    });
  }

  /** Resolves when nothing waits for the disk any more, or the disk fails. */
  flushed(): Promise<void> {
    this.hurry();
    if (this.phase === 'idle' || this.phase === 'failing' || this.phase === 'stopped') {
      return Promise.resolve();
    }
    return new Promise((resolve) => this.idle.push(resolve));
  }

  /** Closes the current segment after the write under way, so that it can be read back. */
  async rotate(): Promise<void> {
    if (this.phase !== 'writing') return this.closeCurrent();
    await new Promise<void>((resolve) => this.rotated.push(resolve));
  }

  /** J3: the store has the records of these requests, so that their lines can give way. */
  giveUp(settled: ReadonlySet<string>): void {
    const given = this.pending.filter((line) => settled.has(line.requestId));
    this.pending = this.pending.filter((line) => !settled.has(line.requestId));
    for (const line of given) {
      this.pendingBytes -= line.bytes;
      this.replaceable.delete(line.requestId);
    }
    release(given);
  }

  /** Writes what waits, syncs and closes. Lines that come later are lost: stop last. */
  async stop(): Promise<void> {
    await this.flushed();
    this.phase = 'stopped';
    this.ticker?.cancel();
    await this.closeCurrent();
    await this.closing;
  }

  private writeSoon(): void {
    if (this.phase !== 'scheduled' && this.phase !== 'failing') return;
    this.phase = 'writing';
    // It never rejects: a failed write is an outcome that it handles itself.
    void this.writeLoop();
  }

  private async writeLoop(): Promise<void> {
    do {
      this.inWrite = this.pending;
      this.pending = [];
      this.replaceable.clear();
      this.urgent = false;
      this.writeStartedMs = this.clock.monotonic();
      const outcome = await this.write(this.inWrite);
      if (this.rotated.length > 0) await this.closeCurrent();
      for (const resolve of this.rotated.splice(0)) resolve();
      if (outcome === 'failed') return this.fail();
    } while (this.urgent);
    this.phase = 'idle';
    if (this.pending.length > 0) return this.linger();
    for (const resolve of this.idle.splice(0)) resolve();
  }

  private async write(lines: readonly Line[]): Promise<'written' | 'failed'> {
    const bytes = Buffer.from(lines.map(textOf).join(''));
    try {
      const { file, segment } = (this.current ??= await this.create());
      await file.append(bytes);
      segment.bytes += bytes.length;
      for (const line of lines) {
        if (line.text === null) continue;
        this.ledger.touch(line.requestId, segment);
        if (line.spilled) segment.spilled = true;
      }
    } catch (error) {
      this.log.error({ err: error }, 'the journal cannot be written');
      return 'failed';
    }
    this.backoff.reset();
    this.writes.observe((this.clock.monotonic() - this.writeStartedMs) / 1000);
    this.unsynced = true;
    for (const line of lines) this.pendingBytes -= line.bytes;
    this.inWrite = [];
    release(lines);
    this.onWritten();
    return 'written';
  }

  private onWritten(): void {
    const { segment } = this.current ?? {};
    if (segment === undefined) return;
    // Nobody waits for it (J2): the next write goes into a segment of its own.
    if (segment.bytes >= journalSegmentBytes) this.closeBehind();
    if (segment.spilled) this.onSegment('spilled');
  }

  /** J1: what was to be written goes first next time, into a new segment. */
  private fail(): void {
    const lines = this.inWrite;
    this.inWrite = [];
    this.pending = [...lines, ...this.pending];
    this.phase = 'failing';
    for (const resolve of this.idle.splice(0)) resolve();
    release(this.pending);
    this.closeBehind();
    this.clock.setTimer(this.backoff.nextMs(), () => this.writeSoon());
  }

  private async create(): Promise<{ file: JournalFile; segment: Segment }> {
    this.created += 1;
    // J5: whoever set the clock back did not change what was written first.
    this.namedAtMs = Math.max(this.namedAtMs, this.clock.now());
    const name = segmentName({ nowMs: this.namedAtMs, number: this.created });
    // Somebody may have removed the folder: without it no request is served until a restart.
    await this.files.prepare();
    const file = await this.files.create(name);
    const segment: Segment = {
      name,
      bytes: 0,
      phase: 'open',
      unsettled: new Set(),
      spilled: false,
      replayed: false,
      readFailures: 0,
      readAgainAtMs: -Infinity,
    };
    this.ledger.add(segment);
    return { file, segment };
  }

  /** The segment that is written now; undefined before the first line. */
  get currentSegment(): Segment | undefined {
    return this.current?.segment;
  }

  private async closeCurrent(): Promise<void> {
    const { current } = this;
    if (current === undefined) return;
    this.current = undefined;
    const { file, segment } = current;
    segment.phase = 'closed';
    const failed = (error: unknown): void =>
      this.log.warn({ err: error, segment: segment.name }, 'a segment was not closed well');
    await file.sync().catch(failed);
    // Also after a sync that failed, as on a full disk: each retry would keep a descriptor.
    await file.close().catch(failed);
    this.onSegment('closed');
  }

  private closeBehind(): void {
    this.closing = Promise.all([this.closing, this.closeCurrent()]);
  }

  /** Runs each second while there is something to sync or a write under way. */
  private tick(): void {
    if (this.ticker !== undefined || this.phase === 'stopped') return;
    this.ticker = this.clock.setTimer(journalSyncMs, () => {
      this.ticker = undefined;
      if (this.unsynced || this.phase === 'writing') this.tick();
      this.releaseSlow();
      // A failed sync shows in the next write; nobody waits for this one.
      void this.sync();
    });
  }

  private async sync(): Promise<void> {
    if (!this.unsynced || this.current === undefined) return;
    this.unsynced = false;
    try {
      await this.current.file.sync();
    } catch (error) {
      this.log.error({ err: error }, 'the journal cannot be synced');
    }
  }

  /** J2: a write that hangs does not hold answers back for ever. */
  private releaseSlow(): void {
    if (!this.isSlow) return;
    this.log.warn({}, 'the journal is slow: answers do not wait for it');
    release(this.inWrite);
    release(this.pending);
  }
}

function textOf({ text }: Line): string {
  if (text === null) return '';
  return typeof text === 'string' ? text : text();
}

/** Calls whoever waits for these lines, once. */
function release(lines: readonly Line[]): void {
  for (const line of lines) {
    const { written } = line;
    line.written = undefined;
    written?.();
  }
}
