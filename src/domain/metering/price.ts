/**
 * What was used, as money: whole millionths of the operator's unit, whatever that is. A price is
 * taken from the tier that served, at the moment of the end, and stored: later prices change no
 * bill.
 */
import type { TierPrice } from '../tiers/tiers.ts';

/** Tokens that the engine had in its cache cost this share of the price. */
export const cachedShare = 0.25;

const microsPerUnit = 1_000_000;

/** Tokens of a request that a shared agent served; own agents' cost nothing. */
export function tokensCostMicros(
  price: TierPrice,
  tokens: { input: number; cached: number; output: number },
): number {
  if (price.kind !== 'per_million_tokens') return 0;
  const { input, cached, output } = tokens;
  // So many units per million tokens are as many millionths per token.
  return Math.round(price.amount * (input - cached + cached * cachedShare + output));
}

/** Time for which an own agent was linked. */
export function timeCostMicros(price: TierPrice, seconds: number): number {
  if (price.kind !== 'per_hour') return 0;
  return Math.round((price.amount * microsPerUnit * seconds) / 3600);
}

/** Of a decimal number with at most six digits behind the point. */
export function microsOf(amount: string): number {
  const [whole = '0', rest = ''] = amount.split('.');
  return Number(whole) * microsPerUnit + Number(rest.padEnd(6, '0'));
}

/** Six digits behind the point: `0.001250`. */
export function costText(micros: number): string {
  const whole = Math.trunc(Math.abs(micros) / microsPerUnit);
  const rest = String(Math.abs(micros) % microsPerUnit).padStart(6, '0');
  return `${micros < 0 ? '-' : ''}${whole}.${rest}`;
}
