/** Draws from distributions that a uniform source does not give by itself. */
import type { Random } from '../../lib/random.ts';

/** Waiting times of an exponential distribution with mean 1. */
export function exponential(random: Random): number {
  return -Math.log(1 - random.float());
}

/** Weibull with this shape and scale 1. */
export function weibull(random: Random, shape: number): number {
  return exponential(random) ** (1 / shape);
}

/**
 * Gamma with this shape and scale 1, after Marsaglia and Tsang (2000); shapes below 1 by their
 * boost, U^(1/shape) · Gamma(shape + 1).
 */
export function gamma(random: Random, shape: number): number {
  if (shape < 1) return (1 - random.float()) ** (1 / shape) * gamma(random, shape + 1);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal(random);
    const v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    const u = 1 - random.float();
    if (Math.log(u) < x * x * 0.5 + d * (1 - v + Math.log(v))) return d * v;
  }
}

/** Standard normal, after Box and Muller. */
function normal(random: Random): number {
  const radius = Math.sqrt(2 * exponential(random));
  return radius * Math.cos(2 * Math.PI * random.float());
}

/** Values with their shares, drawn by binary search over the running sum. */
export class Histogram {
  private readonly values: readonly number[];
  private readonly upTo: Float64Array;

  /** Shares need not add up to 1. At least one has to be above 0. */
  constructor(entries: readonly (readonly [value: number, share: number])[]) {
    this.values = entries.map(([value]) => value);
    this.upTo = new Float64Array(entries.length);
    let sum = 0;
    for (const [at, [, share]] of entries.entries()) {
      sum += share;
      this.upTo[at] = sum;
    }
  }

  draw(random: Random): number {
    const wanted = random.float() * (this.upTo.at(-1) ?? 0);
    let low = 0;
    let high = this.upTo.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.upTo[middle] ?? Infinity) > wanted) high = middle;
      else low = middle + 1;
    }
    return this.values[low] ?? 0;
  }
}
