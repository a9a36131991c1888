/**
 * Who wrote how much of an answer that several agents wrote one after the other, and what that
 * costs. Of own agents the time is charged, not the tokens; of shared ones each its own tokens, at
 * the price of the tier by which it served, and the prompt once, to the last of them.
 */
import { tokensCostMicros } from '../../domain/metering/price.ts';
import type { Attempt } from './attempt.ts';
import type { ClampedUsage } from './usageClamp.ts';

/** What of an attempt its price is made of. */
type Writer = Pick<Attempt, 'dispatch' | 'tier'>;

export class AnswerParts {
  private readonly earlier: { writer: Writer; output: number }[] = [];
  private written = 0;

  /** An attempt broke when so many tokens of the answer, all together, were passed on. */
  wrote(writer: Writer, tokens: number): void {
    const output = Math.max(0, tokens - this.written);
    if (output > 0) this.earlier.push({ writer, output });
    this.written += output;
  }

  /** Of all attempts before. */
  get tokens(): number {
    return this.written;
  }

  costMicros(last: Writer, { input, cached, output }: ClampedUsage): number {
    const parts = [...this.earlier, { writer: last, output: Math.max(0, output - this.written) }];
    const shared = parts.filter(({ writer }) => writer.dispatch.shared);
    const prompt = { input, cached };
    return shared.reduce((sum, { writer, output: own }, at) => {
      const used = at === shared.length - 1 ? prompt : { input: 0, cached: 0 };
      return sum + tokensCostMicros(writer.tier.price, { ...used, output: own });
    }, 0);
  }
}
