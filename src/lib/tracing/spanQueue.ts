/**
 * Spans on their way to a collector: gathered, sent in batches, dropped when there are too many.
 *
 * Invariants
 * Q1 Nobody waits for a collector, and none that is slow, dead or rude harms anybody: there is one
 *    call at a time, and what waits is bounded (`maxSpans`); newer spans are dropped, and counted.
 * Q2 What the collector would take later is offered `maxTries` times, then dropped and counted.
 */
import { createBackoff, type Backoff } from '../backoff.ts';
import type { Clock, Timer } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { Random } from '../random.ts';
import type { Span } from './span.ts';

/** What a collector said. `later`: it may take them another time. */
export type Sent = 'taken' | 'later' | 'refused';

export interface SpanCounts {
  exported: number;
  /** The queue was full. */
  dropped: number;
  /** The collector did not take them. */
  failed: number;
  waiting: number;
}

export interface SpanQueueBounds {
  maxSpans: number;
  batchSpans: number;
  delayMs: number;
}

const maxTries = 5;
const retryFirstMs = 1000;
const retryLongestMs = 30_000;

export class SpanQueue {
  readonly counts: SpanCounts = { exported: 0, dropped: 0, failed: 0, waiting: 0 };
  private readonly bounds: SpanQueueBounds;
  private readonly send: (spans: readonly Span[]) => Promise<Sent>;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly backoff: Backoff;
  private waiting: Span[] = [];
  /** Spans that the collector is being given. */
  private away = 0;
  private sending: Promise<void> = Promise.resolve();
  private phase: 'resting' | 'gathering' | 'sending' | 'stopped' = 'resting';
  private timer: Timer | undefined;
  private tries = 0;

  constructor(options: {
    bounds: SpanQueueBounds;
    /** Never rejects. */
    send: (spans: readonly Span[]) => Promise<Sent>;
    clock: Clock;
    random: Random;
    log: Logger;
  }) {
    this.bounds = options.bounds;
    this.send = options.send;
    this.clock = options.clock;
    this.log = options.log;
    const delays = { firstMs: retryFirstMs, longestMs: retryLongestMs };
    this.backoff = createBackoff({ random: options.random, ...delays });
  }

  /** Q1: takes them, or drops them. */
  offer(spans: readonly Span[]): void {
    const kept = this.waiting.length + this.away;
    if (this.phase === 'stopped' || kept + spans.length > this.bounds.maxSpans) {
      this.counts.dropped += spans.length;
      return;
    }
    this.waiting.push(...spans);
    this.counts.waiting = this.waiting.length;
    if (this.phase === 'resting') this.gather(this.bounds.delayMs);
    else if (this.phase === 'gathering' && this.isFull && this.tries === 0) this.gather(0);
  }

  /** Sends what there is, once each. */
  async stop(): Promise<void> {
    this.timer?.cancel();
    this.phase = 'stopped';
    await this.sending;
    while (this.waiting.length > 0) {
      const batch = this.take();
      this.count(batch, await this.send(batch));
    }
  }

  private get isFull(): boolean {
    return this.waiting.length >= this.bounds.batchSpans;
  }

  private gather(delayMs: number): void {
    this.timer?.cancel();
    this.phase = 'gathering';
    // `flush` never rejects.
    this.timer = this.clock.setTimer(delayMs, () => {
      this.sending = this.flush();
    });
  }

  private async flush(): Promise<void> {
    this.phase = 'sending';
    const batch = this.take();
    this.away = batch.length;
    const sent = await this.send(batch);
    this.away = 0;
    this.tries += 1;
    const isTriedAgain = sent === 'later' && this.tries < maxTries && !this.isStopped();
    if (isTriedAgain) {
      // They counted against the bound while they were away: there is room for them.
      this.waiting.unshift(...batch);
      this.counts.waiting = this.waiting.length;
    } else this.count(batch, sent);
    if (this.isStopped()) return;
    if (this.waiting.length === 0) this.phase = 'resting';
    else if (isTriedAgain) this.gather(this.backoff.nextMs());
    else this.gather(this.isFull ? 0 : this.bounds.delayMs);
  }

  private isStopped(): boolean {
    return this.phase === 'stopped';
  }

  private take(): Span[] {
    const batch = this.waiting.splice(0, this.bounds.batchSpans);
    this.counts.waiting = this.waiting.length;
    return batch;
  }

  private count(batch: readonly Span[], sent: Sent): void {
    this.tries = 0;
    if (sent === 'taken') {
      this.backoff.reset();
      this.counts.exported += batch.length;
      return;
    }
    this.counts.failed += batch.length;
    this.log.warn({ spans: batch.length }, 'the collector of traces does not take spans');
  }
}
