/**
 * Brings finished records to the store: in batches, again and again until it takes them. What does
 * not fit into memory while the store is away stays in the journal and is read back from there.
 *
 * Invariants
 * D1 A record leaves only when the store has it, or to those that it refuses (`refusals.ts`).
 * D2 A batch that is unfit for the store is halved until the record is found that it cannot take,
 *    and the others go past it. There is nothing to wait for, as there is with a store that is
 *    away.
 * D3 Under a steady load the store is asked for at most a few batches each `usageDelayMs`: each is
 *    a transaction, with an fsync, in a thread that shares its core with the router.
 */
import { createBackoff, type Backoff } from '../../lib/backoff.ts';
import { BoundedQueue } from '../../lib/boundedQueue.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import {
  journalRetryFirstMs,
  journalRetryLongestMs,
  maxReasonLength,
  maxUndeliveredRecords,
  refusedBatch,
  smallUsageBatch,
  usageBatch,
  usageCallMs,
  usageDelayMs,
} from '../limits.ts';
import { isAway, type UsageRecord, type UsageSink } from '../ports.ts';
import type { RefusedRecords } from './refusedRecords.ts';
import { Refusals, type Taken, type Turn } from './refusals.ts';

/** `resting`: nothing to do. `waiting`: for the batch to fill, or for the store to come back. */
type Phase = 'resting' | 'waiting' | 'delivering' | 'stopped';

/** What the journal had to give: no records when it holds none, `unreadable`: not now. */
export type ReadBack = { kind: 'records'; records: UsageRecord[] } | { kind: 'unreadable' };

/** `waits`: the store is away, or memory is full of what it refuses. */
type BatchTurn = 'goes_on' | 'waits';

export class UsageDelivery {
  private readonly sink: UsageSink;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly backoff: Backoff;
  private readonly onDelivered: (batch: readonly UsageRecord[]) => void;
  /** More records from the journal, once memory holds few. */
  private readonly readBack: () => Promise<ReadBack>;
  /** Whether there are such. */
  private readonly hasMore: () => boolean;
  private readonly refusals: Refusals;
  private readonly queue = new BoundedQueue<UsageRecord>({ maxItems: maxUndeliveredRecords });
  /** Taken out of the queue, or read back, and not delivered yet: goes before the queue. */
  private taken: UsageRecord[] = [];
  /** Records of the next batch (D2). */
  private batchSize = usageBatch;
  /** Before that the journal is not read again: it could not be. */
  private readAgainAtMs = -Infinity;
  private phase: Phase = 'resting';
  private rested: (() => void)[] = [];

  constructor(options: {
    sink: UsageSink;
    clock: Clock;
    random: Random;
    log: Logger;
    onDelivered: (batch: readonly UsageRecord[]) => void;
    readBack: () => Promise<ReadBack>;
    hasMore: () => boolean;
    refused: RefusedRecords;
  }) {
    this.sink = options.sink;
    this.clock = options.clock;
    this.log = options.log;
    this.onDelivered = options.onDelivered;
    this.readBack = options.readBack;
    this.hasMore = options.hasMore;
    const delays = { firstMs: journalRetryFirstMs, longestMs: journalRetryLongestMs };
    this.backoff = createBackoff({ random: options.random, ...delays });
    this.refusals = new Refusals({
      ...options,
      kept: options.refused,
      record: (batch) => this.record(batch),
      onSafe: options.onDelivered,
      onDue: () => this.wake(),
    });
  }

  /** Takes a record for delivery; `full` = it has to be read back from the journal later. */
  offer(record: UsageRecord): 'accepted' | 'full' {
    const outcome = this.queue.push(record);
    if (this.phase === 'resting') this.wait(usageDelayMs);
    return outcome;
  }

  /** Looks for records to read back now. */
  wake(): void {
    if (this.phase === 'resting') this.wait(0);
  }

  /** Delivers what waits. Resolves when all is delivered or the store refuses. */
  async stop(): Promise<void> {
    if (this.phase === 'delivering') {
      await new Promise<void>((resolve) => this.rested.push(resolve));
    }
    this.phase = 'stopped';
    while (this.waiting > 0 && (await this.deliverBatch()) !== 'waits');
    await this.noteRefused();
  }

  /** Records in memory that the store does not have yet. */
  get undelivered(): number {
    return this.waiting + this.refusals.waiting;
  }

  /** Records that the store has refused, each for itself, since the start. */
  get refusedEver(): number {
    return this.refusals.ever;
  }

  /** Of these: those that there was no room to keep. */
  get givenUp(): number {
    return this.refusals.givenUp;
  }

  private get waiting(): number {
    return this.taken.length + this.queue.size;
  }

  private wait(delayMs: number): void {
    this.phase = 'waiting';
    this.clock.setTimer(delayMs, () => {
      if (this.phase !== 'waiting') return;
      this.phase = 'delivering';
      // It never rejects: a refused batch is an outcome.
      void this.deliver();
    });
  }

  private async deliver(): Promise<void> {
    const turn = await this.deliverAll();
    for (const resolve of this.rested.splice(0)) resolve();
    if (this.phase === 'stopped') return;
    this.phase = 'resting';
    if (turn === 'waits') this.wait(this.backoff.nextMs());
    else if (turn === 'more' || this.undelivered > 0 || this.hasMore()) this.wait(usageDelayMs);
  }

  private async deliverAll(): Promise<Turn> {
    while (this.rested.length === 0) {
      if (this.waiting > 0 && (await this.deliverBatch()) === 'waits') return 'waits';
      if (this.refusals.waiting >= refusedBatch) await this.noteRefused();
      // Whoever stands beside an unfit record has waited long enough (D2).
      const isSearching = this.batchSize < smallUsageBatch && this.waiting > 0;
      if (isSearching || !this.hasFew) continue;
      this.taken = await this.readMore();
      if (this.taken.length > 0) continue;
      await this.noteRefused();
      // Few have come meanwhile, and more are coming: they wait for those (D3).
      if (this.taken.length === 0) return this.refusals.turn();
    }
    return 'done';
  }

  private async noteRefused(): Promise<void> {
    const again = await this.refusals.note();
    if (again.length > 0) this.taken = [...again, ...this.taken];
  }

  /** None as well where the journal cannot be read now: memory does not wait for that. */
  private async readMore(): Promise<UsageRecord[]> {
    if (this.clock.monotonic() < this.readAgainAtMs) return [];
    const read = await this.readBack();
    if (read.kind === 'records') return read.records;
    this.readAgainAtMs = this.clock.monotonic() + this.backoff.nextMs();
    return [];
  }

  /**
   * Now what lies in the journal, and what was refused, have their turn: under a steady load memory
   * is never empty.
   */
  private get hasFew(): boolean {
    return this.taken.length === 0 && this.queue.size < smallUsageBatch;
  }

  private async deliverBatch(): Promise<BatchTurn> {
    const size = Math.min(this.batchSize, Math.max(smallUsageBatch, this.waiting >> 1));
    while (this.taken.length < size) {
      const record = this.queue.shift();
      if (record === undefined) break;
      this.taken.push(record);
    }
    const batch = this.taken.slice(0, size);
    const taken = await this.record(batch);
    if (taken.kind === 'away') return 'waits';
    if (taken.kind === 'unfit') return this.suspect(batch, taken.reason);
    this.batchSize = Math.min(usageBatch, this.batchSize * 2);
    this.refusals.tookSome();
    this.taken = this.taken.slice(batch.length);
    this.onDelivered(batch);
    return 'goes_on';
  }

  /** D2. */
  private async suspect(batch: readonly UsageRecord[], reason: string): Promise<BatchTurn> {
    const [record] = batch;
    this.batchSize = Math.max(1, batch.length >> 1);
    if (batch.length > 1 || record === undefined) return 'goes_on';
    if (this.refusals.add({ record, reason })) {
      this.taken.shift();
      return 'goes_on';
    }
    await this.noteRefused();
    return 'waits';
  }

  /** A call that never comes back counts as a store that is away. */
  private async record(batch: readonly UsageRecord[]): Promise<Taken> {
    let late = (): void => {};
    const deadline = new Promise<'late'>((resolve) => (late = () => resolve('late')));
    const timer = this.clock.setTimer(usageCallMs, late);
    try {
      const call = this.sink.record(batch).then(() => 'recorded' as const);
      if ((await Promise.race([call, deadline])) === 'recorded') {
        this.backoff.reset();
        return { kind: 'recorded' };
      }
      // What it still says is heard by nobody.
      call.catch(() => undefined);
      this.log.warn({ records: batch.length }, 'the store does not answer');
    } catch (error) {
      if (!isAway(error)) {
        const text = error instanceof Error ? error.message : String(error);
        return { kind: 'unfit', reason: text.slice(0, maxReasonLength) };
      }
      this.log.warn({ err: error, records: batch.length }, 'usage cannot be delivered');
    } finally {
      timer.cancel();
    }
    return { kind: 'away' };
  }
}
