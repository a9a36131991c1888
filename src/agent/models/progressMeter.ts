/**
 * Turns bytes into progress: a rate over the last seconds, the time left, at most four reports/s.
 */
import type { Clock } from '../../lib/clock.ts';
import { progressIntervalMs } from '../limits.ts';

export type FetchPhase = 'waiting' | 'downloading' | 'verifying' | 'unpacking';

export interface FetchProgressReport {
  phase: FetchPhase;
  receivedBytes: number;
  /** Undefined while unknown. */
  totalBytes?: number;
  bytesPerSecond?: number;
  /** Time to the end of the phase at the present rate, in ms. */
  etaMs?: number;
}

/** Span over which the rate is taken. */
const windowMs = 5_000;

export class ProgressMeter {
  private readonly clock: Clock;
  private readonly report: (progress: FetchProgressReport) => void;
  private phase: FetchPhase = 'waiting';
  private totalBytes: number | undefined;
  private samples: { atMs: number; bytes: number }[] = [];
  private reportedAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, report: (progress: FetchProgressReport) => void) {
    this.clock = clock;
    this.report = report;
  }

  /** Begins a phase at `receivedBytes` (what an earlier attempt left) and reports it. */
  begin(
    phase: FetchPhase,
    options: { receivedBytes: number; totalBytes?: number | undefined },
  ): void {
    this.phase = phase;
    this.totalBytes = options.totalBytes;
    this.samples = [{ atMs: this.clock.monotonic(), bytes: options.receivedBytes }];
    this.emit(options.receivedBytes);
  }

  /** `receivedBytes` in all, not since the last call. */
  update(receivedBytes: number): void {
    const atMs = this.clock.monotonic();
    if (atMs - this.reportedAtMs < progressIntervalMs) return;
    this.samples.push({ atMs, bytes: receivedBytes });
    while (this.samples.length > 2 && atMs - this.samples[0]!.atMs > windowMs) this.samples.shift();
    this.emit(receivedBytes);
  }

  private emit(receivedBytes: number): void {
    this.reportedAtMs = this.clock.monotonic();
    const rate = this.bytesPerSecond();
    const left = this.totalBytes === undefined ? undefined : this.totalBytes - receivedBytes;
    this.report({
      phase: this.phase,
      receivedBytes,
      ...(this.totalBytes !== undefined && { totalBytes: this.totalBytes }),
      ...(rate > 0 && { bytesPerSecond: Math.round(rate) }),
      ...(rate > 0 && left !== undefined && { etaMs: Math.round((left / rate) * 1000) }),
    });
  }

  private bytesPerSecond(): number {
    const first = this.samples[0];
    const last = this.samples.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0;
    return Math.max(0, ((last.bytes - first.bytes) / (last.atMs - first.atMs)) * 1000);
  }
}
