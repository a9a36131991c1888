import { leastBy } from './leastBy.ts';
import type { PolicyFactory } from './policy.ts';

/** Fewest requests without an end. */
export const leastRequests: PolicyFactory = ({ random }) => ({
  choose: (_request, candidates) => leastBy(candidates, { random, value: (one) => one.inFlight }),
});
