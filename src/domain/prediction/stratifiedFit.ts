/**
 * Linear least squares that learns online and forgets, one stratum at a time: each stratum keeps
 * its own sums of `x·xᵀ` and `x·y`, and only the stratum that a sample falls into fades. So a long
 * spell of samples of one kind leaves what was learned of the others as it was. This is recursive
 * least squares with exponential forgetting in information form (Ljung and Söderström, 1983), with
 * a sum for each stratum; it needs no covariance that could wind up.
 *
 * Coefficients are held at zero or above: the ones that come out below are fixed at zero and the
 * others solved again. A weak pull towards a prior keeps those of which nothing was seen.
 */

/** How much of a stratum is left after one more of its samples. */
const kept = 0.98;
/** Pull towards the prior, as a part of what was seen of a feature, and in all. */
const pull = 0.003;
const leastPull = 1e-9;
/** So many first samples are solved for one by one, later ones so many at a time. */
const solvedAtOnce = 48;
const solveEvery = 6;

export class StratifiedFit {
  /** By feature; never negative, always finite (S5). */
  readonly coefficients: Float64Array;
  private readonly size: number;
  private readonly strata: (Float64Array | undefined)[];
  private samples = 0;

  constructor(shape: { features: number; strata: number }) {
    this.size = shape.features;
    this.coefficients = new Float64Array(shape.features);
    this.strata = Array.from({ length: shape.strata }, () => undefined);
  }

  /** Takes a sample in: `weight` is how much its squared error counts. */
  learn(
    x: Float64Array,
    sample: { y: number; weight: number; stratum: number; prior: Float64Array },
  ): void {
    const { y, weight, stratum, prior } = sample;
    const { size } = this;
    const sums = this.strata[stratum] ?? new Float64Array(size * size + size);
    this.strata[stratum] = sums;
    for (let row = 0; row < size; row += 1) {
      const scaled = weight * at(x, row);
      for (let column = 0; column < size; column += 1) {
        const place = row * size + column;
        sums[place] = at(sums, place) * kept + scaled * at(x, column);
      }
      const place = size * size + row;
      sums[place] = at(sums, place) * kept + scaled * y;
    }
    this.samples += 1;
    if (this.samples <= solvedAtOnce || this.samples % solveEvery === 0) this.solve(prior);
  }

  private solve(prior: Float64Array): void {
    const { size } = this;
    const sums = new Float64Array(size * size + size);
    for (const stratum of this.strata) {
      if (stratum === undefined) continue;
      for (let place = 0; place < sums.length; place += 1) {
        sums[place] = at(sums, place) + at(stratum, place);
      }
    }
    for (let row = 0; row < size; row += 1) {
      const diagonal = row * size + row;
      const added = pull * at(sums, diagonal) + leastPull;
      sums[diagonal] = at(sums, diagonal) + added;
      sums[size * size + row] = at(sums, size * size + row) + added * at(prior, row);
    }
    const free = Array.from({ length: size }, (_, row) => row);
    while (free.length > 0) {
      const solution = solveSymmetric(sums, { size, free });
      // Too many features for what was seen, which the pull should prevent: what is known stays.
      if (solution === null) return;
      const worst = leastOf(solution);
      if (at(solution, worst) >= 0) return this.keep(free, solution);
      free.splice(worst, 1);
    }
    this.coefficients.fill(0);
  }

  private keep(free: readonly number[], solution: Float64Array): void {
    this.coefficients.fill(0);
    for (const [place, row] of free.entries()) this.coefficients[row] = at(solution, place);
  }
}

const at = (numbers: Float64Array, place: number): number => numbers[place] ?? 0;

function leastOf(numbers: Float64Array): number {
  let least = 0;
  for (let place = 1; place < numbers.length; place += 1) {
    if (at(numbers, place) < at(numbers, least)) least = place;
  }
  return least;
}

/** Cholesky's way for the rows and columns of `free`; null where they are not independent. */
function solveSymmetric(
  sums: Float64Array,
  of: { size: number; free: readonly number[] },
): Float64Array | null {
  const { size, free } = of;
  const { length } = free;
  const factor = new Float64Array(length * length);
  const solution = new Float64Array(length);
  for (let row = 0; row < length; row += 1) {
    for (let column = 0; column <= row; column += 1) {
      let rest = at(sums, (free[row] ?? 0) * size + (free[column] ?? 0));
      for (let k = 0; k < column; k += 1) {
        rest -= at(factor, row * length + k) * at(factor, column * length + k);
      }
      if (row === column && !(rest > 0)) return null;
      const value = row === column ? Math.sqrt(rest) : rest / at(factor, column * length + column);
      factor[row * length + column] = value;
    }
    let rest = at(sums, size * size + (free[row] ?? 0));
    for (let k = 0; k < row; k += 1) rest -= at(factor, row * length + k) * at(solution, k);
    solution[row] = rest / at(factor, row * length + row);
  }
  for (let row = length - 1; row >= 0; row -= 1) {
    let rest = at(solution, row);
    for (let k = row + 1; k < length; k += 1)
      rest -= at(factor, k * length + row) * at(solution, k);
    solution[row] = rest / at(factor, row * length + row);
  }
  return solution.every(Number.isFinite) ? solution : null;
}
