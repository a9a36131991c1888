/** Every published rule by its name on the command line. */
import { dynamoCost } from './dynamoCost.ts';
import { leastRequests } from './leastRequests.ts';
import { leastTokens } from './leastTokens.ts';
import { lmetric } from './lmetric.ts';
import { mooncakeTtft } from './mooncakeTtft.ts';
import type { PolicyFactory } from './policy.ts';
import type { PublishedName } from './policyNames.ts';
import { powerOfTwo } from './powerOfTwo.ts';
import { random } from './random.ts';
import { roundRobin } from './roundRobin.ts';
import { sglangCacheAware } from './sglangCacheAware.ts';

export const policies: Readonly<Record<PublishedName, PolicyFactory>> = {
  'round-robin': roundRobin,
  random,
  'least-requests': leastRequests,
  'power-of-two': powerOfTwo,
  'least-tokens': leastTokens,
  'sglang-cache-aware': sglangCacheAware,
  'dynamo-cost': dynamoCost,
  lmetric,
  'mooncake-ttft': mooncakeTtft,
};
