/**
 * Tells that a machine has become slower than what was learned of it, by how many times what was
 * foreseen each of its requests took: a one-sided cumulative sum (CUSUM) of the logarithms. A
 * machine that takes twice as long is noticed after 32 requests, one that takes three times as long
 * or more after 16; single long ones, and short ones between, only move the sum. Half as many would
 * drop now and then what was learned of machines that are as they were.
 */

/** What is between the old speed and half of it. */
const drift = Math.log(2) / 2;
/** A single one counts for no more. */
const most = Math.log(3);
const threshold = 32 * drift;
/** Samples of a slow machine that are kept to begin anew with. */
const maxKept = 32;

export class SlowdownAlarm<Sample> {
  private sum = 0;
  private since: Sample[] = [];

  /**
   * It took `factor` times what was foreseen (above zero, finite). Null, or the latest samples
   * since it became slower, oldest first; from then on it watches anew.
   */
  note(sample: Sample, factor: number): Sample[] | null {
    this.sum = Math.max(0, this.sum + Math.min(most, Math.log(factor)) - drift);
    if (this.sum === 0) {
      this.since = [];
      return null;
    }
    this.since.push(sample);
    if (this.since.length > maxKept) this.since.shift();
    if (this.sum < threshold - 1e-9) return null;
    const { since } = this;
    this.sum = 0;
    this.since = [];
    return since;
  }
}
