/**
 * Linear least squares that learns online and forgets, one stratum at a time: each stratum keeps
 * its own sums of `x·xᵀ` and `x·y`, and only the stratum that a sample falls into fades. So a long
 * spell of samples of one kind leaves what was learned of the others as it was. This is recursive
 * least squares with exponential forgetting in information form (Ljung and Söderström, 1983), with
 * a sum for each stratum; it needs no covariance that could wind up.
 *
 * Coefficients are held at zero or above: the ones that come out below are fixed at zero and the
 * others solved again. A weak pull towards what others taught keeps those of which nothing was
 * seen, and as many samples as `lentSamples`, spread over all that the others have seen, keep those
 * of which little was: among short prompts the noise of a few ms would say anything of long ones.
 */

/** How much of a stratum is left after one more of its samples. */
const kept = 0.98;
/** Pull towards the prior, as a part of what was seen of a feature, and in all. */
const pull = 0.003;
const leastPull = 1e-9;
/** What others have seen counts for so many samples of one's own. */
const lentSamples = 0.2;
/** So many first samples are solved for one by one, later ones so many at a time. */
const solvedAtOnce = 48;
const solveEvery = 6;

/** What others taught, and how many times as long it takes here. */
export interface Lent {
  fit: StratifiedFit;
  ratio: number;
}

export class StratifiedFit {
  /** By feature; never negative, always finite (S5). */
  readonly coefficients: Float64Array;
  private readonly size: number;
  private readonly strata: (Float64Array | undefined)[];
  private samples = 0;
  /** Samples that are left, by stratum, as they fade. */
  private readonly counts: Float64Array;

  constructor(shape: { features: number; strata: number }) {
    this.size = shape.features;
    this.coefficients = new Float64Array(shape.features);
    this.strata = Array.from({ length: shape.strata }, () => undefined);
    this.counts = new Float64Array(shape.strata);
  }

  /** Takes a sample in: `weight` is how much its squared error counts. */
  learn(
    x: Float64Array,
    sample: { y: number; weight: number; stratum: number; lent: Lent | null },
  ): void {
    const { y, weight, stratum, lent } = sample;
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
    this.counts[stratum] = at(this.counts, stratum) * kept + 1;
    if (this.samples <= solvedAtOnce || this.samples % solveEvery === 0) this.solve(lent);
  }

  private solve(lent: Lent | null): void {
    const { size } = this;
    const sums = this.total();
    for (let row = 0; row < size; row += 1) {
      const diagonal = row * size + row;
      const added = pull * at(sums, diagonal) + leastPull;
      const prior = lent === null ? 0 : at(lent.fit.coefficients, row) * lent.ratio;
      sums[diagonal] = at(sums, diagonal) + added;
      sums[size * size + row] = at(sums, size * size + row) + added * prior;
    }
    if (lent !== null) borrow(sums, { size, lent });
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

  /** Over all strata. */
  total(): Float64Array {
    const sums = new Float64Array(this.size * this.size + this.size);
    for (const stratum of this.strata) {
      if (stratum === undefined) continue;
      for (let place = 0; place < sums.length; place += 1) {
        sums[place] = at(sums, place) + at(stratum, place);
      }
    }
    return sums;
  }

  /** Samples that are left of all, as they fade. */
  get seen(): number {
    return this.counts.reduce((sum, one) => sum + one, 0);
  }

  private keep(free: readonly number[], solution: Float64Array): void {
    this.coefficients.fill(0);
    for (const [place, row] of free.entries()) this.coefficients[row] = at(solution, place);
  }
}

/** Adds samples of others, as long as they would be here, with the weight that they then have. */
function borrow(sums: Float64Array, { size, lent }: { size: number; lent: Lent }): void {
  const { fit, ratio } = lent;
  const theirs = fit.total();
  const share = lentSamples / Math.max(1, fit.seen) / (ratio * ratio);
  for (let row = 0; row < size; row += 1) {
    let product = 0;
    for (let column = 0; column < size; column += 1) {
      const place = row * size + column;
      const added = share * at(theirs, place);
      sums[place] = at(sums, place) + added;
      product += added * ratio * at(fit.coefficients, column);
    }
    sums[size * size + row] = at(sums, size * size + row) + product;
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
