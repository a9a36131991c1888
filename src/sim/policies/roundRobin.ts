import type { PolicyFactory } from './policy.ts';

/** Each in turn; who may not take it now is passed over. */
export const roundRobin: PolicyFactory = () => {
  let last = -1;
  return {
    choose(_request, candidates) {
      const next = candidates.find(({ facts }) => facts.id > last) ?? candidates[0];
      last = next?.facts.id ?? -1;
      return next as NonNullable<typeof next>;
    },
  };
};
