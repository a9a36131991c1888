import { randomInt } from '../../lib/random.ts';
import { leastBy } from './leastBy.ts';
import type { PolicyFactory } from './policy.ts';

/**
 * Of two different ones at random, that with fewer requests without an end (Mitzenmacher, "The
 * Power of Two Choices in Randomized Load Balancing", 2001).
 */
export const powerOfTwo: PolicyFactory = ({ random }) => ({
  choose(_request, candidates) {
    const first = randomInt(random, candidates.length);
    const other = randomInt(random, Math.max(1, candidates.length - 1));
    const second = other >= first ? other + 1 : other;
    const two = candidates.filter((_one, at) => at === first || at === second);
    return leastBy(two, { random, value: (one) => one.inFlight });
  },
});
