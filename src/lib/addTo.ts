/** Counts things by a key; what comes to nothing is forgotten. */
export function addTo(counts: Map<string, number>, step: { key: string; by: number }): void {
  const count = (counts.get(step.key) ?? 0) + step.by;
  if (count === 0) counts.delete(step.key);
  else counts.set(step.key, count);
}
