import { leastBy } from './leastBy.ts';
import type { PolicyFactory } from './policy.ts';

const overlapScoreWeight = 1;

/**
 * The KV router of NVIDIA Dynamo: the least `weight × prefill blocks + decode blocks`, weight 1,
 * temperature 0. Prefill blocks are the prompt tokens that the worker would have to compute, those
 * already on their way to it included, until their first byte; decode blocks are the different
 * blocks of all requests that it would have, until their end. The cache is predicted from what was
 * sent, as the router does without events of the engine.
 */
export const dynamoCost: PolicyFactory = ({ random }) => ({
  choose: (request, candidates) =>
    leastBy(candidates, {
      random,
      value(one) {
        const prefillTokens = one.pendingTokens + one.uncachedTokens(request);
        const prefillBlocks = prefillTokens / request.blockTokens;
        return overlapScoreWeight * prefillBlocks + one.blocksWith(request);
      },
    }),
});
