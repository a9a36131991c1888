/**
 * Tokens per second for engines that count none themselves: from the answers that ended in the last
 * minute, each spread over the time that it took. An answer that still runs is not in it yet.
 */
const windowMs = 60_000;
/** Answers that are remembered; more of them than this in a minute are counted in part. */
const mostAnswers = 4_096;

interface Answer {
  startedAtMs: number;
  endedAtMs: number;
  tokens: number;
}

export class AnswerRate {
  private answers: Answer[] = [];

  /** An answer has ended. Times are monotonic. */
  note(answer: Answer): void {
    this.answers.push(answer);
    if (this.answers.length > mostAnswers) this.answers = this.answers.slice(mostAnswers / 2);
  }

  /** Over the minute before `nowMs`; undefined while no answer has ended in it. */
  perSecond(nowMs: number): number | undefined {
    const fromMs = nowMs - windowMs;
    this.answers = this.answers.filter(({ endedAtMs }) => endedAtMs > fromMs);
    if (this.answers.length === 0) return undefined;
    let tokens = 0;
    for (const one of this.answers) {
      const tookMs = one.endedAtMs - one.startedAtMs;
      const insideMs = one.endedAtMs - Math.max(one.startedAtMs, fromMs);
      tokens += tookMs <= 0 ? one.tokens : one.tokens * (insideMs / tookMs);
    }
    return (tokens * 1000) / windowMs;
  }
}
