import { leastBy } from './leastBy.ts';
import type { PolicyFactory } from './policy.ts';

/** Fewest tokens of prompts of requests without an end. */
export const leastTokens: PolicyFactory = ({ random }) => ({
  choose: (_request, candidates) =>
    leastBy(candidates, { random, value: (one) => one.inputTokens }),
});
