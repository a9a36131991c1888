/**
 * What a project has left of its limits, as headers of an answer. The figure is what stands in the
 * table; what is left may be above it, because a bucket holds more than a minute's worth.
 */
import type { Rate, Rates } from '../../domain/quotas/limitAccount.ts';
import type { SubmitResult } from '../ports.ts';

/** None for what is not limited. */
export function rateHeaders(rates: Rates): Record<string, string> {
  const headers: Record<string, string> = {};
  putRate(headers, { rate: rates.requests, of: 'requests' });
  putRate(headers, { rate: rates.tokens, of: 'tokens' });
  return headers;
}

function putRate(headers: Record<string, string>, one: { rate: Rate | null; of: string }): void {
  const { rate, of } = one;
  if (rate === null) return;
  headers[`x-ratelimit-limit-${of}`] = String(rate.limit);
  headers[`x-ratelimit-remaining-${of}`] = String(rate.remaining);
  headers[`x-ratelimit-reset-${of}`] = goDuration(rate.resetMs);
}

/** A span as Go writes it: `120ms`, `1.5s`, `6m0s`, `1h0m2s`; rounded up to whole ms. */
export function goDuration(ms: number): string {
  const whole = Math.max(0, Math.ceil(ms));
  if (whole === 0) return '0s';
  if (whole < 1000) return `${whole}ms`;
  const seconds = `${(whole % 60_000) / 1000}s`;
  const minutes = Math.floor(whole / 60_000);
  if (minutes === 0) return seconds;
  const hours = Math.floor(minutes / 60);
  return hours === 0 ? `${minutes}m${seconds}` : `${hours}h${minutes % 60}m${seconds}`;
}

/** Those of a refusal by a limit, if it was one. */
export const ratesOf = ({
  rateHeaders: headers,
}: Pick<SubmitResult, 'rateHeaders'>): Pick<SubmitResult, 'rateHeaders'> =>
  headers === undefined ? {} : { rateHeaders: headers };
