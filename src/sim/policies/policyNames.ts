/** Published rules, as they are called on the command line; `policies.ts` has one for each. */
export const publishedNames = [
  'round-robin',
  'random',
  'least-requests',
  'power-of-two',
  'least-tokens',
  'sglang-cache-aware',
  'dynamo-cost',
  'lmetric',
  'mooncake-ttft',
] as const;

export type PublishedName = (typeof publishedNames)[number];

/** Those, and the product's own scheduler. */
export const policyNames = [...publishedNames, 'xim'] as const;

export type PolicyName = (typeof policyNames)[number];
