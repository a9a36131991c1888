/**
 * Counters and histograms with labels. A series is made when something is first counted under its
 * labels, so that what does not happen costs nothing.
 *
 * Invariants
 * R6 There are at most `maxSeries` of each. What would be one more is counted under the label
 *    `other`, so that the sum stays right and nobody can fill the memory, or whoever scrapes.
 */
import { Histogram } from './histogram.ts';

/** Values of labels, in the order of the metric's row, and what was counted under them. */
export type Sample = readonly [labels: readonly string[], value: number | Histogram];

/** The label of what came after the bound. */
export const otherLabel = 'other';

class Series<Value> {
  private readonly byKey = new Map<string, { labels: readonly string[]; value: Value }>();
  private readonly maxSeries: number;
  private readonly make: () => Value;

  constructor(maxSeries: number, make: () => Value) {
    this.maxSeries = maxSeries;
    this.make = make;
  }

  of(labels: readonly string[]): { labels: readonly string[]; value: Value } {
    const key = labels.join('\u0000');
    return this.byKey.get(key) ?? this.begin(key, labels);
  }

  all(): Iterable<{ labels: readonly string[]; value: Value }> {
    return this.byKey.values();
  }

  private begin(
    key: string,
    labels: readonly string[],
  ): { labels: readonly string[]; value: Value } {
    const isRoom = this.byKey.size < this.maxSeries - 1;
    const used = isRoom ? labels : labels.map(() => otherLabel);
    const usedKey = isRoom ? key : used.join('\u0000');
    const known = this.byKey.get(usedKey);
    if (known !== undefined) return known;
    const series = { labels: used, value: this.make() };
    this.byKey.set(usedKey, series);
    return series;
  }
}

/** A counter per combination of labels. */
export class LabelledCounter {
  private readonly series: Series<number>;

  constructor({ maxSeries }: { maxSeries: number }) {
    this.series = new Series(maxSeries, () => 0);
  }

  add(labels: readonly string[], by = 1): void {
    this.series.of(labels).value += by;
  }

  /** The series itself, for whoever counts so often that finding it would cost too much. */
  of(labels: readonly string[]): { value: number } {
    return this.series.of(labels);
  }

  samples(): Sample[] {
    return Array.from(this.series.all(), ({ labels, value }) => [labels, value] as const);
  }
}

/** A histogram per combination of labels. */
export class LabelledHistogram {
  private readonly series: Series<Histogram>;

  constructor({ maxSeries, bounds }: { maxSeries: number; bounds: readonly number[] }) {
    this.series = new Series(maxSeries, () => new Histogram(bounds));
  }

  observe(labels: readonly string[], value: number): void {
    this.series.of(labels).value.observe(value);
  }

  /** The series itself. */
  of(labels: readonly string[]): Histogram {
    return this.series.of(labels).value;
  }

  samples(): Sample[] {
    return Array.from(this.series.all(), ({ labels, value }) => [labels, value] as const);
  }
}
