import { leastBy } from './leastBy.ts';
import type { PolicyFactory } from './policy.ts';

/**
 * LMetric (Zhang et al., "Simple is Better – Multiplication May Be All You Need for LLM Request
 * Scheduling", arXiv 2603.15202): the least product of the prompt tokens that the instance would
 * have to compute with this request (those on their way to it included) and of its current batch
 * size. Instances without a request are equal by this rule, whatever they have cached.
 */
export const lmetric: PolicyFactory = ({ random }) => ({
  choose: (request, candidates) =>
    leastBy(candidates, {
      random,
      value: (one) => (one.pendingTokens + one.uncachedTokens(request)) * one.inFlight,
    }),
});
