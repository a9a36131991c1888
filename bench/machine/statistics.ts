/** Figures of several rounds as one. */

/** The middle value; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The value that a share of all of them do not exceed (nearest rank); NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** Rounded to `digits` behind the point; null for what could not be measured. */
export function rounded(value: number, digits: number): number | null {
  return Number.isFinite(value) ? Number(value.toFixed(digits)) : null;
}

/** A figure as it is reported: the median, and every round behind it. */
export interface Figure {
  median: number | null;
  rounds: (number | null)[];
}

export function figure(values: readonly number[], digits: number): Figure {
  return {
    median: rounded(median(values), digits),
    rounds: values.map((value) => rounded(value, digits)),
  };
}
