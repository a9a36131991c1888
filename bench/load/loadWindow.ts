/** What a load counts, while its window is open. Times in ms. */
import { nowUs } from './chunkStamp.ts';
import type { LoadResult, Problem, Spread } from './messages.ts';

/** Kinds of failures that are told apart; more say nothing more. */
const problemsMax = 16;

export class LoadWindow {
  private phase: 'before' | 'open' | 'closed' = 'before';
  private openedUs = 0;
  private closedUs = 0;
  private chunks = 0;
  private answers = 0;
  private failures = 0;
  private readonly problems = new Map<string, Problem>();
  private readonly delays: number[] = [];
  private readonly firstBytes: number[] = [];
  private readonly latencies: number[] = [];

  get isOpen(): boolean {
    return this.phase === 'open';
  }

  get isClosed(): boolean {
    return this.phase === 'closed';
  }

  open(): void {
    this.phase = 'open';
    this.openedUs = nowUs();
  }

  close(): void {
    this.phase = 'closed';
    this.closedUs = nowUs();
  }

  chunk(writtenUs: number): void {
    if (this.phase !== 'open') return;
    this.chunks += 1;
    this.delays.push(nowUs() - writtenUs);
  }

  /** Counted for answers whose request was sent in the window. */
  firstByte(sentUs: number): void {
    if (this.phase === 'open' && sentUs >= this.openedUs) this.firstBytes.push(nowUs() - sentUs);
  }

  answer(sentUs: number): void {
    if (this.phase !== 'open') return;
    this.answers += 1;
    if (sentUs >= this.openedUs) this.latencies.push(nowUs() - sentUs);
  }

  /** `message`: what the first of its kind says of itself. */
  failure(problem: string, message = ''): void {
    this.failures += 1;
    const known = this.problems.get(problem);
    if (known !== undefined) known.count += 1;
    else if (this.problems.size < problemsMax) {
      this.problems.set(problem, { problem, message, count: 1 });
    }
  }

  result(disorder: number): LoadResult {
    return {
      windowMs: (this.closedUs - this.openedUs) / 1000,
      chunks: this.chunks,
      answers: this.answers,
      delay: spreadOf(this.delays),
      firstByte: spreadOf(this.firstBytes),
      latency: spreadOf(this.latencies),
      disorder,
      failures: this.failures,
      problems: [...this.problems.values()],
    };
  }
}

function spreadOf(us: number[]): Spread {
  const sorted = Float64Array.from(us).toSorted();
  const at = (share: number): number => {
    const index = Math.min(sorted.length - 1, Math.floor(share * sorted.length));
    return (sorted[index] ?? 0) / 1000;
  };
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}
