/**
 * What a client is told whose project is over a limit, or whose key is over its quota: which figure
 * it is, and when there will be room.
 */
import type { LimitHit } from '../../domain/quotas/limitAccount.ts';
import type { Verdict } from '../../domain/scheduler/schedulerEvents.ts';
import type { Refusal } from '../ports.ts';

type Limited = Extract<Verdict, { kind: 'rate_limit_exceeded' | 'concurrency_exceeded' }>;

const words = {
  requests_per_minute: 'requests per minute',
  tokens_per_minute: 'tokens per minute',
  tokens_per_day: 'tokens per day',
  concurrent_requests: 'running requests',
} as const;

/** `nowMs` is the time of day; `retryAfterMs` is for a limit that time alone does not lift. */
export function limitRefusal(
  verdict: Limited,
  when: { nowMs: number; retryAfterMs: number },
): Refusal {
  const { hit, tier } = verdict;
  const { limit, value, used, waitMs } = hit;
  const name = tier === null ? `key_${limit}` : limit;
  const knob =
    tier === null
      ? `this API key's quota of ${words[limit]} (${limit} = ${value})`
      : `the limit of ${words[limit]} on the tier '${tier}' (${limit} = ${value})`;
  const extra = { limit: { name, value, used, resets: resetsAt(waitMs, when.nowMs) } };
  if (waitMs === Infinity) {
    const message =
      `This request needs about ${Math.ceil(hit.needed)} tokens, and ${knob} ` +
      `lets no request have more than ${Math.floor(hit.most)}. ` +
      'Ask for fewer with max_tokens, or send less.';
    return { name: 'rate_limited_tokens', message, shouldRetry: false, extra };
  }
  const message = `No room is left in ${knob}: ${used} are used${wish(hit)}.`;
  const refusal = { name: nameOf(hit), message, extra };
  // Longer than any client library waits: it says when, and that a retry before makes no sense.
  if (limit === 'tokens_per_day') return { ...refusal, shouldRetry: false };
  const retryAfterMs = waitMs ?? when.retryAfterMs;
  const foreseen = waitMs ?? verdict.expectedWaitMs;
  const expected_wait_ms = foreseen === null ? null : Math.round(foreseen);
  return { ...refusal, retryAfterMs, extra: { ...extra, expected_wait_ms } };
}

/** Of a request that waited in vain beside agents that were free. */
export const heldLine = ({ limit, value, used }: LimitHit): string =>
  `The project was held to its limit of ${words[limit]} (${limit} = ${value}, ${used} used).`;

export function heldFacts(hit: LimitHit, nowMs: number): Record<string, unknown> {
  const { limit: name, value, used, waitMs } = hit;
  return { name, value, used, resets: resetsAt(waitMs, nowMs) };
}

const wish = ({ limit, needed }: LimitHit): string =>
  limit.startsWith('tokens') ? `, and this request needs about ${Math.ceil(needed)}` : '';

function resetsAt(waitMs: number | null, nowMs: number): string | null {
  if (waitMs === null || waitMs === Infinity) return null;
  return new Date(Math.ceil(nowMs + waitMs)).toISOString();
}

function nameOf({ limit }: LimitHit): Refusal['name'] {
  switch (limit) {
    case 'requests_per_minute':
      return 'rate_limited_requests';
    case 'tokens_per_minute':
    case 'tokens_per_day':
      return 'rate_limited_tokens';
    case 'concurrent_requests':
      return 'concurrency_exceeded';
  }
}
