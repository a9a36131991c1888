/**
 * The journal: what happened to every request, on disk before its last byte goes to the client, in
 * the store a little later, and replayed after a crash.
 *
 * Parts: `journalWriter` (lines to segments), `usageDelivery` (records to the store),
 * `refusedRecords` (what the store refuses), `segmentLedger` (which segments are still needed),
 * `journalLines`, `unreadableLines`, `journalReader`, `journalFiles`.
 *
 * Invariants
 * G1 Every answer whose last byte was received has its `end` line written (unless the disk fails),
 *    and so exactly one usage record.
 * G2 Every other begun request has exactly one record `interrupted` after a restart: once all
 *    files that the restart found could be read, or were set aside.
 * G3 A record is in memory, in a segment or among the refused ones until the store has it; a file
 *    goes only after that.
 * G4 Nothing here is awaited before the first byte of an answer (R4).
 * G5 Whatever was away, a disk, a folder or the store: when it is back, so is the journal. A
 *    segment that was removed is given up, one that cannot be read is tried again for an hour, and
 *    then set aside for people.
 * G6 A record that the store refuses, and a line that cannot be read, hold nobody up, neither in
 *    the delivery nor by the room that they take; each is counted, told and kept. But where the
 *    disk takes none of them, memory has room for 10,000: with more, all wait for disk or store.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Histogram } from '../../lib/metrics/histogram.ts';
import type { Random } from '../../lib/random.ts';
import { maxJournalBytes, segmentReadFirstMs, segmentReadLongestMs } from '../limits.ts';
import type { UsageRecord, UsageSink } from '../ports.ts';
import type { JournalFiles } from './journalFiles.ts';
import { beginLine, endLine, readLines, type JournalLines } from './journalLines.ts';
import { JournalReader } from './journalReader.ts';
import { JournalWriter } from './journalWriter.ts';
import { OpenRequests } from './openRequests.ts';
import { isRefusedFile, RefusedRecords } from './refusedRecords.ts';
import { SegmentLedger, type Segment } from './segmentLedger.ts';
import { UnreadableLines } from './unreadableLines.ts';
import { UsageDelivery, type ReadBack } from './usageDelivery.ts';

/** How the journal is. Bytes and records. */
export interface JournalFigures {
  state: 'ok' | 'failing';
  bytes: number;
  pendingBytes: number;
  undelivered: number;
  /** That the store refused and that wait for it on disk. */
  refused: number;
  /** Since the start: refused for the first time, lost for want of room, and lines. */
  refusedEver: number;
  givenUp: number;
  unreadable: number;
  /** Files that could not be read, since the start. */
  setAside: number;
  /** In seconds. */
  writes: Histogram;
}

export class Journal {
  private readonly files: JournalFiles;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly ledger = new SegmentLedger();
  private readonly writer: JournalWriter;
  private readonly delivery: UsageDelivery;
  private readonly unreadable: UnreadableLines;
  private readonly reader: JournalReader;
  private readonly refused: RefusedRecords;
  /** Noted by an earlier process: its segments may hold them, too. */
  private readonly refusedBefore = new Set<string>();
  private readonly open = new OpenRequests();
  /** Segments that are being removed. It never rejects. */
  private removing: Promise<void> = Promise.resolve();

  constructor(options: {
    files: JournalFiles;
    sink: UsageSink;
    clock: Clock;
    random: Random;
    log: Logger;
  }) {
    this.files = options.files;
    this.clock = options.clock;
    this.log = options.log;
    this.writer = new JournalWriter({
      ...options,
      ledger: this.ledger,
      onSegment: (event) => {
        if (event === 'spilled') this.delivery.wake();
        else this.removeSoon();
      },
    });
    this.unreadable = new UnreadableLines(options);
    this.reader = new JournalReader(options);
    this.refused = new RefusedRecords({
      ...options,
      reader: this.reader,
      unreadable: this.unreadable,
      onRead: (name, requestIds) => this.onRefusedRead(name, requestIds),
    });
    this.delivery = new UsageDelivery({
      ...options,
      refused: this.refused,
      onDelivered: (batch) => this.settle(batch),
      readBack: () => this.readBack(),
      hasMore: () => this.hasSpilled,
    });
  }

  /** Replays what an earlier process left (G2). Rejects when the folder cannot be used. */
  async start(): Promise<void> {
    await this.files.prepare();
    const found = await this.files.list();
    for (const { name, bytes } of found.filter((one) => !isRefusedFile(one.name))) {
      const segment = { name, bytes, phase: 'closed', unsettled: new Set<string>() } as const;
      const reading = { readFailures: 0, readAgainAtMs: -Infinity };
      await this.replay({ ...segment, ...reading, spilled: true, replayed: true });
    }
    for (const { record, segments } of this.open.requests) {
      this.ledger.expect(record.requestId);
      for (const segment of segments) this.ledger.touch(record.requestId, segment);
    }
    // Last: whatever stands here has ended, wherever its begin may stand.
    const refused = found.filter((one) => isRefusedFile(one.name));
    for (const { name } of refused) this.open.cannotRead(name);
    for (const file of refused) {
      const requestIds = await this.refused.adopt(file);
      if (requestIds === undefined) continue;
      for (const requestId of requestIds) this.refusedBefore.add(requestId);
      this.onRefusedRead(file.name, requestIds);
    }
    this.endCutOff();
    this.delivery.wake();
  }

  /** Whether there is room for what another request will write. */
  accepting(): boolean {
    return this.writer.accepting && this.ledger.bytes < maxJournalBytes;
  }

  state(): 'ok' | 'failing' {
    return this.writer.failing || !this.accepting() ? 'failing' : 'ok';
  }

  figures(): JournalFigures {
    const { bytesPending: pendingBytes, writes } = this.writer;
    const { undelivered, refusedEver, givenUp } = this.delivery;
    return {
      state: this.state(),
      bytes: this.ledger.bytes + this.refused.bytes,
      pendingBytes,
      undelivered,
      refused: this.refused.records,
      refusedEver,
      givenUp,
      unreadable: this.unreadable.count,
      setAside: this.reader.setAside,
      writes,
    };
  }

  /** A request is dispatched. `record` stands for it if nothing else is ever written. */
  begin(record: UsageRecord): void {
    const { requestId } = record;
    this.ledger.expect(requestId);
    this.writer.appendReplaceable({ requestId, text: () => beginLine(record) });
  }

  /** The client is about to see a byte of a begun request: its line waits for nothing any more. */
  hurry(): void {
    this.writer.hurry();
  }

  /** A request has ended. `written` is called once, when the client may have its last byte (G1). */
  end(record: UsageRecord, written?: () => void): void {
    const { requestId } = record;
    this.ledger.expect(requestId);
    // G3: what memory has no room for is read back from its segment once there is.
    const spilled = this.delivery.offer(record) === 'full';
    this.writer.append({ requestId, text: endLine(record), written, spilled });
  }

  /** Delivers and writes what it can, then closes. */
  async stop(): Promise<void> {
    await this.writer.flushed();
    await this.delivery.stop();
    await this.writer.stop();
    this.removeSoon();
    await this.removing;
  }

  private settle(batch: readonly UsageRecord[]): void {
    for (const record of batch) this.ledger.settle(record.requestId);
    if (this.writer.stuck) this.writer.giveUp(new Set(batch.map(({ requestId }) => requestId)));
    this.removeSoon();
  }

  /** A segment that cannot be removed is delivered once more after a restart. */
  private removeSoon(): void {
    this.removing = Promise.all([this.removing, this.removeNeedless()]).then(() => undefined);
  }

  private async removeNeedless(): Promise<void> {
    for (const segment of this.ledger.takeNeedless()) {
      try {
        await this.files.remove(segment.name);
      } catch (error) {
        this.log.warn({ err: error, segment: segment.name }, 'a segment was not removed');
      }
    }
  }

  /** Whether a segment waits to be read back. */
  private get hasSpilled(): boolean {
    return this.writer.currentSegment?.spilled === true || this.ledger.spilled() !== undefined;
  }

  /** The records of the next such segment that holds any. Never rejects. */
  private async readBack(): Promise<ReadBack> {
    if (this.writer.currentSegment?.spilled === true) await this.writer.rotate();
    for (;;) {
      const segment = this.ledger.spilled(this.clock.monotonic());
      if (segment === undefined) break;
      const read = await this.readSegment(segment);
      // The others do not wait for it.
      if (read === undefined) continue;
      await this.unreadable.keep(segment.name, read.unreadable);
      segment.spilled = false;
      const records = this.recordsOf(segment, read);
      for (const { requestId } of records) {
        this.ledger.expect(requestId);
        this.ledger.touch(requestId, segment);
        this.open.ended(requestId);
      }
      this.open.wasRead(segment.name);
      this.endCutOff();
      if (records.length > 0) return { kind: 'records', records };
    }
    await this.removeNeedless();
    if (this.ledger.spilled() !== undefined) return { kind: 'unreadable' };
    this.refusedBefore.clear();
    return { kind: 'records', records: [] };
  }

  private recordsOf({ replayed }: Segment, { lines }: JournalLines): UsageRecord[] {
    const ended = lines.flatMap((line) => (line.kind === 'end' ? [line.record] : []));
    if (!replayed) return ended;
    return ended
      .filter((one) => !this.refusedBefore.has(one.requestId))
      .map((one) => ({ ...one, replayed }));
  }

  private async replay(segment: Segment): Promise<void> {
    this.ledger.add(segment);
    const read = await this.readSegment(segment);
    if (read === undefined) return this.open.cannotRead(segment.name);
    for (const { kind, record } of read.lines) {
      if (kind === 'end') this.open.ended(record.requestId);
      else this.open.began(record, segment);
    }
  }

  /** G2 */
  private endCutOff(): void {
    const cutOff = this.open.takeCutOff();
    for (const record of cutOff) this.end({ ...record, replayed: true });
    if (cutOff.length > 0) this.log.warn({ requests: cutOff.length }, 'requests were interrupted');
  }

  /** Their segments need not keep what stands among the refused ones. */
  private onRefusedRead(name: string, requestIds: readonly string[]): void {
    for (const one of requestIds) if (this.open.ended(one)) this.ledger.settle(one);
    this.open.wasRead(name);
    this.endCutOff();
  }

  private putOff(segment: Segment): void {
    const pauseMs = segmentReadFirstMs * 2 ** Math.min(segment.readFailures, 32);
    segment.readFailures += 1;
    segment.readAgainAtMs = this.clock.monotonic() + Math.min(segmentReadLongestMs, pauseMs);
  }

  /** Undefined when it cannot be read now; one that is gone has no lines. */
  private async readSegment(segment: Segment): Promise<JournalLines | undefined> {
    const { name, bytes, unsettled, replayed } = segment;
    // Of one that an earlier process wrote nobody knows what is in it.
    const holds = replayed ? { bytes } : { bytes, requests: unsettled.size };
    const read = await this.reader.read(name, holds);
    if (read.kind === 'failed') {
      this.putOff(segment);
      return undefined;
    }
    segment.readFailures = 0;
    if (read.kind === 'read') return readLines(read.bytes);
    this.ledger.lose(segment);
    return { lines: [], unreadable: [] };
  }
}
