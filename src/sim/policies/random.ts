import { randomInt } from '../../lib/random.ts';
import type { InstanceAccount } from './instanceAccount.ts';
import type { PolicyFactory } from './policy.ts';

/** Anyone. */
export const random: PolicyFactory = (options) => ({
  choose: (_request, candidates) =>
    candidates[randomInt(options.random, candidates.length)] as InstanceAccount,
});
