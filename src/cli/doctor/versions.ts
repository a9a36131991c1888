/** Versions as numbers with dots. */

/** Negative: `one` is older than `other`. What is no number counts as 0. */
export function compareVersions(one: string, other: string): number {
  const [a, b] = [numbers(one), numbers(other)];
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

const numbers = (version: string): number[] => (version.match(/\d+/g) ?? []).map(Number);
