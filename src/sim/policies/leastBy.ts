/** The candidate with the least value; of equal ones, one at random. */
import { randomInt, type Random } from '../../lib/random.ts';

export function leastBy<Candidate>(
  candidates: readonly Candidate[],
  how: { random: Random; value: (candidate: Candidate) => number },
): Candidate {
  let least = Infinity;
  let best: Candidate[] = [];
  for (const candidate of candidates) {
    const value = how.value(candidate);
    if (value > least) continue;
    if (value < least) best = [];
    least = value;
    best.push(candidate);
  }
  return best[best.length === 1 ? 0 : randomInt(how.random, best.length)] as Candidate;
}
