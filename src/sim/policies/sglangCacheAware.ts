import type { ArrivedRequest } from '../routerPort.ts';
import type { InstanceAccount } from './instanceAccount.ts';
import { leastBy } from './leastBy.ts';
import type { PolicyFactory } from './policy.ts';

const cacheThreshold = 0.3;
const balanceAbsolute = 64;
const balanceRelative = 1.5;

/**
 * The cache-aware policy of SGLang's router, with its defaults. While the fleet is out of balance
 * (most and fewest requests without an end differ by more than 64 and by more than 1.5 times): the
 * one with the fewest. Otherwise the one with the longest prefix, if that is more than 0.3 of the
 * prompt; else the one whose tree is the smallest.
 */
export const sglangCacheAware: PolicyFactory = ({ random }) => ({
  choose(request, candidates) {
    const loads = candidates.map(({ inFlight }) => inFlight);
    const most = Math.max(...loads);
    const fewest = Math.min(...loads);
    if (most - fewest > balanceAbsolute && most > balanceRelative * fewest) {
      return leastBy(candidates, { random, value: (one) => one.inFlight });
    }
    const longest = leastBy(candidates, { random, value: (one) => -matchRate(request, one) });
    if (matchRate(request, longest) > cacheThreshold) return longest;
    return leastBy(candidates, { random, value: (one) => one.index.size });
  },
});

function matchRate(request: ArrivedRequest, account: InstanceAccount): number {
  if (request.blocks.length === 0) return 0;
  return account.index.match(request.blocks) / request.blocks.length;
}
