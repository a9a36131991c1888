/**
 * Brings finished records to the store: in batches, again and again until it takes them. What does
 * not fit into memory while the store is away stays in the journal and is read back from there.
 */
import { createBackoff, type Backoff } from '../../lib/backoff.ts';
import { BoundedQueue } from '../../lib/boundedQueue.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import {
  journalRetryFirstMs,
  journalRetryLongestMs,
  maxUndeliveredRecords,
  usageBatch,
  usageDelayMs,
} from '../limits.ts';
import type { UsageRecord, UsageSink } from '../ports.ts';

/** `resting`: nothing to do. `waiting`: for the batch to fill, or for the store to come back. */
type Phase = 'resting' | 'waiting' | 'delivering' | 'stopped';

export class UsageDelivery {
  private readonly sink: UsageSink;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly backoff: Backoff;
  private readonly onDelivered: (batch: readonly UsageRecord[]) => void;
  /** More records from the journal, once memory is empty; none = an empty list. */
  private readonly readBack: () => Promise<UsageRecord[]>;
  private readonly queue = new BoundedQueue<UsageRecord>({ maxItems: maxUndeliveredRecords });
  /** Taken out of the queue, or read back, and not delivered yet: goes before the queue. */
  private taken: UsageRecord[] = [];
  private phase: Phase = 'resting';
  private rested: (() => void)[] = [];

  constructor(options: {
    sink: UsageSink;
    clock: Clock;
    random: Random;
    log: Logger;
    onDelivered: (batch: readonly UsageRecord[]) => void;
    readBack: () => Promise<UsageRecord[]>;
  }) {
    this.sink = options.sink;
    this.clock = options.clock;
    this.log = options.log;
    this.onDelivered = options.onDelivered;
    this.readBack = options.readBack;
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
    else if (this.waiting > 0) this.wait(usageDelayMs);
  }

  private async deliverAll(): Promise<'delivered' | 'refused'> {
    for (;;) {
      if (this.rested.length > 0) return 'delivered';
      if (this.waiting === 0) this.taken = await this.readBack();
      if (this.waiting === 0) return 'delivered';
      if ((await this.deliverBatch()) === 'refused') return 'refused';
    }
  }

  private async deliverBatch(): Promise<'delivered' | 'refused'> {
    while (this.taken.length < usageBatch) {
      const record = this.queue.shift();
      if (record === undefined) break;
      this.taken.push(record);
    }
    const batch = this.taken.slice(0, usageBatch);
    try {
      await this.sink.record(batch);
    } catch (error) {
      this.log.warn({ err: error, records: batch.length }, 'usage cannot be delivered');
      return 'refused';
    }
    this.backoff.reset();
    this.taken = this.taken.slice(batch.length);
    this.onDelivered(batch);
    return 'delivered';
  }
}
