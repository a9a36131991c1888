/**
 * What becomes of records that the store refuses, each for itself: they are noted on disk, and
 * tried anew in rounds until the store takes them.
 *
 * Invariants
 * E1 A record is in memory until it is noted (F1) or the store has it. Where the disk does not take
 *    it, or there is no room for more, some are tried anew meanwhile.
 * E2 Only where there is no room, and the store takes others, a record is written whole into the
 *    log and given up. A store that takes nothing makes nobody give anything up.
 * E3 Each round tries all of them: a cause that has gone shows in its own records alone. Some calls
 *    in one go, in batches that grow while they are taken: what is taken again comes through soon.
 * E4 A record is named in the log once, with its reason, and many of them in one line.
 */
import { createBackoff, type Backoff } from '../../lib/backoff.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import {
  journalRetryFirstMs,
  journalRetryLongestMs,
  maxUnnotedRecords,
  refusedAtOnce,
  refusedBatch,
  refusedPauseFirstMs,
  refusedPauseLongestMs,
  takesOthersMs,
  usageBatch,
} from '../limits.ts';
import type { UsageRecord } from '../ports.ts';
import type { Refused, RefusedRecords } from './refusedRecords.ts';

/** What the store did with a batch. `unfit`: it is there, and this is nothing that it takes. */
export type Taken = { kind: 'recorded' } | { kind: 'away' } | { kind: 'unfit'; reason: string };

/** `waits`: the store is away. `more`: there is more to try, after others had their turn. */
export type Turn = 'done' | 'waits' | 'more';

export class Refusals {
  /** Since the start: records that were noted or given up, and of these the latter. */
  ever = 0;
  givenUp = 0;
  private readonly kept: RefusedRecords;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly record: (batch: readonly UsageRecord[]) => Promise<Taken>;
  private readonly onSafe: (batch: readonly UsageRecord[]) => void;
  private readonly onDue: () => void;
  private unnoted: Refused[] = [];
  private readonly noteBackoff: Backoff;
  private noteAgainAtMs = -Infinity;
  private readonly pauses: Backoff;
  /** The timer says so, not the clock: it may fire a little early, and only once. */
  private isDue = true;
  private timer: Timer | undefined;
  private phase: 'resting' | 'round' = 'resting';
  /** Of the file that the round is at. */
  private again: UsageRecord[] = [];
  private batchSize = 1;
  /** When the store took some last. */
  private tookAtMs = -Infinity;

  constructor(options: {
    kept: RefusedRecords;
    clock: Clock;
    random: Random;
    log: Logger;
    /** Gives a batch to the store. */
    record: (batch: readonly UsageRecord[]) => Promise<Taken>;
    /** The segments need not keep these any more. */
    onSafe: (batch: readonly UsageRecord[]) => void;
    /** A round is due: somebody should call `turn`. */
    onDue: () => void;
  }) {
    this.kept = options.kept;
    this.clock = options.clock;
    this.log = options.log;
    this.record = async (batch) => {
      const taken = await options.record(batch);
      if (taken.kind === 'recorded') this.tookSome();
      return taken;
    };
    this.onSafe = options.onSafe;
    this.onDue = options.onDue;
    const { random } = options;
    const noteDelays = { firstMs: journalRetryFirstMs, longestMs: journalRetryLongestMs };
    this.noteBackoff = createBackoff({ random, ...noteDelays });
    const pauses = { firstMs: refusedPauseFirstMs, longestMs: refusedPauseLongestMs };
    this.pauses = createBackoff({ random, ...pauses });
  }

  /** Records that are in memory alone, and in their segments. */
  get waiting(): number {
    return this.unnoted.length;
  }

  /** The store takes records. */
  tookSome(): void {
    this.tookAtMs = this.clock.monotonic();
  }

  /** False: memory has no room. */
  add(one: Refused): boolean {
    if (this.unnoted.length >= maxUnnotedRecords) return false;
    this.unnoted.push(one);
    return true;
  }

  /** Notes what was added. Gives records that the caller should try anew: some were taken. */
  async note(): Promise<UsageRecord[]> {
    if (this.clock.monotonic() < this.noteAgainAtMs) return [];
    while (this.unnoted.length > 0) {
      const batch = this.unnoted.slice(0, refusedBatch);
      const isFirst = this.kept.isEmpty;
      const outcome = await this.kept.note(batch);
      if (outcome !== 'noted') {
        const { waiting } = this;
        const again = await this.tryUnnoted(outcome);
        // While some go, there is nothing to wait for, and others would wait for room in memory.
        const pauseMs = this.waiting < waiting ? 0 : this.noteBackoff.nextMs();
        this.noteAgainAtMs = this.clock.monotonic() + pauseMs;
        return again;
      }
      this.noteBackoff.reset();
      this.unnoted = this.unnoted.slice(batch.length);
      this.ever += batch.length;
      this.onSafe(batch.map(({ record }) => record));
      this.tellOf(batch);
      if (isFirst) this.pause();
    }
    return [];
  }

  /** Tries some of those that were noted, where a round is due. */
  async turn(): Promise<Turn> {
    if (this.phase === 'resting') {
      if (this.kept.isEmpty || !this.isDue) return 'done';
      this.kept.beginRound();
      this.phase = 'round';
      this.batchSize = 1;
    }
    for (let calls = 0; calls < refusedAtOnce; calls += 1) {
      if (this.again.length === 0 && !(await this.readNext())) {
        this.phase = 'resting';
        this.pause();
        return 'done';
      }
      const batch = this.again.slice(0, this.batchSize);
      const taken = await this.record(batch);
      if (taken.kind === 'away') return 'waits';
      if (taken.kind === 'unfit' && batch.length > 1) {
        this.batchSize = batch.length >> 1;
        continue;
      }
      this.again = this.again.slice(batch.length);
      if (taken.kind === 'unfit') continue;
      this.kept.taken(batch);
      this.pauses.reset();
      this.batchSize = Math.min(usageBatch, this.batchSize * 2);
    }
    return 'more';
  }

  /** Whether the round has another file with records. */
  private async readNext(): Promise<boolean> {
    for (;;) {
      await this.kept.concludeFile();
      const records = await this.kept.next();
      if (records === undefined) return false;
      this.again = records;
      if (records.length > 0) return true;
    }
  }

  private pause(): void {
    this.isDue = false;
    this.timer?.cancel();
    const pauseMs = this.pauses.nextMs();
    if (this.kept.isEmpty) return;
    this.timer = this.clock.setTimer(pauseMs, () => {
      this.isDue = true;
      this.onDue();
    });
  }

  /** E1, E2. */
  private async tryUnnoted(outcome: 'full' | 'failed'): Promise<UsageRecord[]> {
    const some = this.unnoted.splice(0, refusedAtOnce);
    for (const [at, one] of some.entries()) {
      const taken = await this.record([one.record]);
      if (taken.kind === 'unfit') {
        if (outcome === 'full' && this.takesOthers) this.giveUp(one);
        else this.unnoted.push(one);
        continue;
      }
      if (taken.kind === 'away') {
        this.unnoted.push(...some.slice(at));
        return [];
      }
      this.onSafe([one.record]);
      const others = [...some.slice(at + 1), ...this.unnoted];
      this.unnoted = [];
      return others.map(({ record }) => record);
    }
    return [];
  }

  private get takesOthers(): boolean {
    return this.clock.monotonic() - this.tookAtMs < takesOthersMs;
  }

  private giveUp({ record, reason }: Refused): void {
    this.ever += 1;
    this.givenUp += 1;
    const message = 'the store refuses a record and there is no room to keep it: given up';
    this.log.error({ record, reason }, message);
    this.onSafe([record]);
  }

  private tellOf(batch: readonly Refused[]): void {
    const refused = batch.map(({ record: { requestId, projectId }, reason }) => ({
      requestId,
      projectId,
      reason,
    }));
    this.log.warn({ refused }, 'the store refuses records: they are kept and tried again');
  }
}
