/**
 * Brings finished records to the store: in batches, again and again until it takes them. What does
 * not fit into memory while the store is away stays in the journal and is read back from there.
 *
 * Invariants
 * D1 A record leaves only when the store has it, or when the store has refused it by itself for
 *    `refusedRecordMs` and `maxRefusalsOfRecord` times, and took others before each of them: then
 *    it is written whole into the log and given up. A store that takes nothing makes nobody give
 *    anything up.
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
  maxRefusalsOfRecord,
  maxRefusedRecords,
  maxUndeliveredRecords,
  refusedAtOnce,
  refusedRecordMs,
  smallUsageBatch,
  usageBatch,
  usageCallMs,
  usageDelayMs,
} from '../limits.ts';
import { isAway, type UsageRecord, type UsageSink } from '../ports.ts';

/** `resting`: nothing to do. `waiting`: for the batch to fill, or for the store to come back. */
type Phase = 'resting' | 'waiting' | 'delivering' | 'stopped';

/** What the journal had to give: no records when it holds none, `unreadable`: not now. */
export type ReadBack = { kind: 'records'; records: UsageRecord[] } | { kind: 'unreadable' };

/** What the store did with a batch. `unfit`: it is there, and this is nothing that it takes. */
type Taken = 'recorded' | 'away' | 'unfit';

/** A record that was refused by itself. */
interface Refused {
  record: UsageRecord;
  sinceMs: number;
  refusals: number;
  /** `deliveries` at the last refusal. */
  atDelivery: number;
}

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
  private readonly queue = new BoundedQueue<UsageRecord>({ maxItems: maxUndeliveredRecords });
  /** Taken out of the queue, or read back, and not delivered yet: goes before the queue. */
  private taken: UsageRecord[] = [];
  private refused: Refused[] = [];
  /** Records of the next batch (D2). */
  private batchSize = usageBatch;
  /** Before that the journal is not read again: it could not be. */
  private readAgainAtMs = -Infinity;
  /** Batches that the store took. */
  private deliveries = 0;
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
  }) {
    this.sink = options.sink;
    this.clock = options.clock;
    this.log = options.log;
    this.onDelivered = options.onDelivered;
    this.readBack = options.readBack;
    this.hasMore = options.hasMore;
    const delays = { firstMs: journalRetryFirstMs, longestMs: journalRetryLongestMs };
    this.backoff = createBackoff({ random: options.random, ...delays });
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
    while (this.waiting > 0 && (await this.deliverBatch()) === 'delivered');
    // What it still refuses is in the journal, and tried again at the next start.
    if (this.waiting === 0) await this.deliverRefused();
  }

  /** Records in memory that the store does not have yet. */
  get undelivered(): number {
    return this.waiting + this.refused.length;
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
    const outcome = await this.deliverAll();
    for (const resolve of this.rested.splice(0)) resolve();
    if (this.phase === 'stopped') return;
    this.phase = 'resting';
    if (outcome === 'refused') this.wait(this.backoff.nextMs());
    else if (this.waiting > 0 || this.hasMore()) this.wait(usageDelayMs);
  }

  private async deliverAll(): Promise<'delivered' | 'refused'> {
    while (this.rested.length === 0) {
      if (this.waiting > 0 && (await this.deliverBatch()) === 'refused') return 'refused';
      if (!this.hasFew) continue;
      this.taken = await this.readMore();
      // Few have come meanwhile, and more are coming: they wait for those (D3).
      if (this.taken.length === 0) return this.deliverRefused();
    }
    return 'delivered';
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

  /** `refused`: after a while again. */
  private async deliverBatch(): Promise<'delivered' | 'refused'> {
    const size = Math.min(this.batchSize, Math.max(smallUsageBatch, this.waiting >> 1));
    while (this.taken.length < size) {
      const record = this.queue.shift();
      if (record === undefined) break;
      this.taken.push(record);
    }
    const batch = this.taken.slice(0, size);
    const taken = await this.record(batch);
    if (taken === 'away') return 'refused';
    if (taken === 'unfit') return this.suspect(batch) ? 'delivered' : 'refused';
    this.batchSize = Math.min(usageBatch, this.batchSize * 2);
    this.deliveries += 1;
    this.backoff.reset();
    this.taken = this.taken.slice(batch.length);
    this.onDelivered(batch);
    return 'delivered';
  }

  /** D2. Whether the next batch is another one. */
  private suspect(batch: readonly UsageRecord[]): boolean {
    const [record] = batch;
    this.batchSize = Math.max(1, Math.floor(batch.length / 2));
    if (batch.length > 1 || record === undefined) return true;
    if (this.refused.length >= maxRefusedRecords) return false;
    this.taken.shift();
    const sinceMs = this.clock.monotonic();
    this.refused.push({ record, sinceMs, refusals: 1, atDelivery: this.deliveries });
    return true;
  }

  /** Little else waits: tries some of those that were refused, each by itself (D1). */
  private async deliverRefused(): Promise<'delivered' | 'refused'> {
    const turn = this.refused.splice(0, refusedAtOnce);
    for (const [at, one] of turn.entries()) {
      const taken = await this.record([one.record]);
      if (taken === 'away') {
        // That says nothing of this record, and no other one would fare better.
        this.refused.push(...turn.slice(at));
        return 'refused';
      }
      const isRecorded = taken === 'recorded';
      if (isRecorded) this.deliveries += 1;
      if (isRecorded || this.isGivenUp(one)) this.onDelivered([one.record]);
      else this.refused.push(one);
    }
    return this.refused.length === 0 ? 'delivered' : 'refused';
  }

  /** D1. It was refused once more. */
  private isGivenUp(one: Refused): boolean {
    if (this.deliveries > one.atDelivery) one.refusals += 1;
    one.atDelivery = this.deliveries;
    if (one.refusals < maxRefusalsOfRecord) return false;
    if (this.clock.monotonic() - one.sinceMs < refusedRecordMs) return false;
    const { record } = one;
    this.log.error({ record }, 'the store takes other records and not this one: given up');
    return true;
  }

  /** A call that never comes back counts as a store that is away. */
  private async record(batch: readonly UsageRecord[]): Promise<Taken> {
    let late = (): void => {};
    const deadline = new Promise<'late'>((resolve) => (late = () => resolve('late')));
    const timer = this.clock.setTimer(usageCallMs, late);
    try {
      const call = this.sink.record(batch).then(() => 'recorded' as const);
      if ((await Promise.race([call, deadline])) === 'recorded') return 'recorded';
      // What it still says is heard by nobody.
      call.catch(() => undefined);
      this.log.warn({ records: batch.length }, 'the store does not answer');
    } catch (error) {
      this.log.warn({ err: error, records: batch.length }, 'usage cannot be delivered');
      if (!isAway(error)) return 'unfit';
    } finally {
      timer.cancel();
    }
    return 'away';
  }
}
