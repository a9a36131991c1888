/**
 * How a machine of which little is known compares to what was assumed of it: a factor on what its
 * kind takes, or, before anything is known of its kind, on its prior. The two are kept apart: how
 * wrong a prior was says nothing of the kind.
 *
 * The first samples count: from then on the kind has learned from this very machine, and a factor
 * that followed would come out at one, however unlike it is. Of a machine that has changed the
 * latest count: others of its kind may have changed with it, and a factor that stayed would be
 * applied to what has become true of the kind since.
 */
import { minLatencySamples } from '../scheduler/limits.ts';

export type Teacher = 'kind' | 'prior';

/** A single sample says no more than a factor of a hundred. */
const largestFactor = 100;
/** Of a machine that has changed: samples that count about as much as all before them. */
const window = 32;

export class Comparison {
  /** Means of logarithms; one more sample that was as assumed stands for what nobody knows. */
  private readonly means: Record<Teacher, { log: number; samples: number }> = {
    kind: { log: 0, samples: 0 },
    prior: { log: 0, samples: 0 },
  };

  private readonly follows: boolean;

  constructor({ follows = false } = {}) {
    this.follows = follows;
  }

  /** It took so many times what was assumed. */
  take(teacher: Teacher, factor: number): void {
    const mean = this.means[teacher];
    if (!this.follows && mean.samples >= minLatencySamples) return;
    const log = Math.log(Math.min(largestFactor, Math.max(1 / largestFactor, factor)));
    mean.samples = Math.min(window, mean.samples + 1);
    mean.log += (log - mean.log) / (mean.samples + 1);
  }

  ratio(teacher: Teacher): number {
    return Math.exp(this.means[teacher].log);
  }
}
