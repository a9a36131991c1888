/**
 * How a machine of which little is known compares to what was assumed of it: a factor on what its
 * kind takes, or, before anything is known of its kind, on its prior. The two are kept apart: how
 * wrong a prior was says nothing of the kind.
 */

export type Teacher = 'kind' | 'prior';

/** A single sample says no more than a factor of a hundred. */
const largestFactor = 100;

export class Comparison {
  /** Sums of logarithms. */
  private readonly logs: Record<Teacher, number> = { kind: 0, prior: 0 };

  /** It took so many times what was assumed. */
  take(teacher: Teacher, factor: number): void {
    this.logs[teacher] += Math.log(Math.min(largestFactor, Math.max(1 / largestFactor, factor)));
  }

  /** After so many samples; one more that was as assumed stands for what nobody knows. */
  ratio(teacher: Teacher, samples: number): number {
    return Math.exp(this.logs[teacher] / (samples + 1));
  }
}
