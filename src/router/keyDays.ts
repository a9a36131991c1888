/**
 * What keys with a daily quota have used today and this process did not count: before it started,
 * by the records that an earlier process left in the journal, and on other servers of the database.
 * Read from the store, and told to the scheduler, which counts what runs here by itself.
 *
 * Invariant
 * K1 What the scheduler is told of a key's day comes to: what the store has of it, less what has
 *    come to the store from here. A reading beside which records were written may be off by these,
 *    and the next one puts it right.
 */
import type { UntimedEvent } from '../domain/scheduler/schedulerEvents.ts';
import { sleep, type Clock, type Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import {
  budgetQuietMs,
  budgetReadAgainMs,
  budgetReadEveryMs,
  budgetReadTries,
  daysOfKeys,
  replayedReadMs,
} from './limits.ts';
import { pacedMs } from './pacedMs.ts';
import type { BudgetLedger, UsageRecord, UsageSink } from './ports.ts';

const dayMs = 86_400_000;
const beginOf = (epochMs: number): number => Math.floor(epochMs / dayMs) * dayMs;

/** Tokens by key. */
interface Day {
  /** Of requests of this process whose records the store has. */
  delivered: Map<string, number>;
  told: Map<string, number>;
}

interface Options {
  ledger: Pick<BudgetLedger, 'keyTokens'>;
  /** Where records go. */
  sink: UsageSink;
  /** Whether the key has a daily quota. */
  isCounted: (apiKeyId: string) => boolean;
  tell: (event: UntimedEvent) => void;
  clock: Clock;
  log: Logger;
}

export class KeyDays {
  /** The sink, for whoever delivers records and linked time. */
  readonly sink: UsageSink;
  private readonly options: Options;
  /** By their begins. */
  private readonly days = new Map<number, Day>();
  /** Calls of the sink: that run, and that were ever made. */
  private running = 0;
  private calls = 0;
  private timer: Timer | undefined;
  private phase: 'resting' | 'reading' = 'resting';
  /** Records came that the last reading cannot have seen, and nothing here counts. */
  private isBehind = false;
  private readonly stopping = new AbortController();

  constructor(options: Options) {
    this.options = options;
    const { sink } = options;
    this.sink = {
      record: async (batch) => {
        await this.watch(sink.record(batch));
        for (const record of batch) this.taken(record);
        if (this.isBehind && this.phase === 'resting') this.readIn(replayedReadMs);
      },
      uptime: (batch) => sink.uptime(batch),
    };
  }

  /** Reads once and follows. Never rejects. */
  async start(): Promise<void> {
    await this.readAndFollow();
  }

  stop(): void {
    this.stopping.abort();
    this.timer?.cancel();
  }

  private async readAndFollow(): Promise<void> {
    const { clock } = this.options;
    const beganMs = clock.monotonic();
    this.phase = 'reading';
    this.isBehind = false;
    const isRead = await this.read();
    this.phase = 'resting';
    const everyMs = this.isBehind ? replayedReadMs : budgetReadEveryMs;
    const tookMs = clock.monotonic() - beganMs;
    this.readIn(isRead ? pacedMs(tookMs, everyMs) : budgetReadAgainMs);
  }

  private readIn(delayMs: number): void {
    if (this.stopping.signal.aborted) return;
    this.timer?.cancel();
    // It never rejects.
    this.timer = this.options.clock.setTimer(delayMs, () => void this.readAndFollow());
  }

  private async watch(call: Promise<void>): Promise<void> {
    this.running += 1;
    this.calls += 1;
    try {
      await call;
    } finally {
      this.running -= 1;
    }
  }

  /** The store has a record. */
  private taken(record: UsageRecord): void {
    const { apiKeyId, startedAtMs, inputTokens, outputTokens } = record;
    if (!this.options.isCounted(apiKeyId)) return;
    if (record.replayed === true) {
      this.isBehind = true;
      return;
    }
    const { delivered } = this.dayOf(beginOf(startedAtMs));
    const tokens = (inputTokens ?? 0) + (outputTokens ?? 0);
    delivered.set(apiKeyId, (delivered.get(apiKeyId) ?? 0) + tokens);
  }

  private dayOf(fromMs: number): Day {
    const known = this.days.get(fromMs);
    if (known !== undefined) return known;
    const day = { delivered: new Map<string, number>(), told: new Map<string, number>() };
    const [oldest] = this.days.keys();
    if (this.days.size >= daysOfKeys && oldest !== undefined) this.days.delete(oldest);
    this.days.set(fromMs, day);
    return day;
  }

  /** Whether it could be read. */
  private async read(): Promise<boolean> {
    const { ledger, clock, log } = this.options;
    const fromMs = beginOf(clock.now());
    try {
      for (let tries = 1; ; tries += 1) {
        const [wasQuiet, calls] = [this.running === 0, this.calls];
        const keys = await ledger.keyTokens({ fromMs, toMs: fromMs + dayMs });
        if (this.stopping.signal.aborted) return true;
        const isRight = wasQuiet && this.calls === calls;
        if (isRight || tries >= budgetReadTries) {
          this.take(keys, fromMs, isRight);
          return true;
        }
        await sleep(clock, budgetQuietMs, this.stopping.signal);
      }
    } catch (error) {
      log.warn({ err: error }, 'what keys have used today cannot be read');
      return false;
    }
  }

  /** K1 */
  private take(
    keys: readonly { id: string; tokens: number }[],
    fromMs: number,
    isRight: boolean,
  ): void {
    const { delivered, told } = this.dayOf(fromMs);
    const news: { id: string; tokens: number }[] = [];
    for (const { id, tokens } of keys) {
      const fromHere = delivered.get(id) ?? 0;
      // What the store took in twice stands there once.
      if (isRight && fromHere > tokens) delivered.set(id, tokens);
      const elsewhere = Math.max(0, tokens - fromHere);
      const more = elsewhere - (told.get(id) ?? 0);
      if (more === 0) continue;
      told.set(id, elsewhere);
      news.push({ id, tokens: more });
    }
    if (news.length > 0) this.options.tell({ type: 'key_tokens', ofDayMs: fromMs, keys: news });
  }
}
