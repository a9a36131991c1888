/**
 * CORS of the data routes, and of the source platform's addresses for control routes: any page may
 * call them with a key of its own, none with a cookie (`*` never goes with credentials). What is
 * below `/api/v1` has no CORS at all: it is same-origin.
 */

import { longestRequestedHeaders } from '../limits.ts';

/** Headers of an answer that a page may read. */
const exposed = [
  'x-request-id',
  'openai-processing-ms',
  'x-xim-agent',
  'x-xim-isolation',
  'x-xim-budget-used',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'etag',
  'idempotent-replayed',
  ...['limit', 'remaining', 'reset'].flatMap((figure) => [
    `x-ratelimit-${figure}-requests`,
    `x-ratelimit-${figure}-tokens`,
  ]),
].join(', ');

/** On every answer of a data route, as a flat list. */
export const corsAnswerHeaders: readonly string[] = [
  'access-control-allow-origin',
  '*',
  'access-control-expose-headers',
  exposed,
];

const named = /^(x-stainless-[a-z0-9-]{1,64}|x-xim-[a-z0-9-]{1,64})$/;
/** Headers that a page may always send. `*` does not cover `authorization`. */
const accepted = [
  'authorization',
  'content-type',
  'accept',
  'idempotency-key',
  'if-match',
  'openai-organization',
  'openai-project',
  'x-client-request-id',
  'x-xim-region',
  'x-xim-resume',
  'x-xim-progress',
];

/** The answer to a preflight: accepts our headers, and those of the client libraries by pattern. */
export function preflightHeaders(options: {
  requestedHeaders: string | undefined;
  methods: readonly string[];
}): string[] {
  const requested = (options.requestedHeaders ?? '')
    .slice(0, longestRequestedHeaders)
    .toLowerCase();
  const known = requested
    .split(',')
    .map((name) => name.trim())
    .filter((name) => named.test(name) && !accepted.includes(name));
  return [
    'access-control-allow-methods',
    options.methods.join(', '),
    'access-control-allow-headers',
    [...accepted, ...new Set(known)].join(', '),
    'access-control-max-age',
    '86400',
    'vary',
    'access-control-request-headers',
  ];
}
