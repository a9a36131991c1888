/** `xim tiers`: what serves an endpoint, at which limits and price. */
import type { TierAnswer } from '../../api/control/tiers.ts';
import type { Command } from '../command.ts';
import { countText, milliseconds, sizeText } from '../textTable.ts';
import { listing } from './resourceCommand.ts';

const count = (limit: number | null): string => (limit === null ? 'not limited' : countText(limit));

function priceText({ kind, amount }: TierAnswer['price']): string {
  if (amount === 0) return 'free';
  return kind === 'per_hour' ? `${amount.toFixed(4)} an hour` : `${amount.toFixed(2)} / 1M tokens`;
}

export const tierCommands: readonly Command[] = [
  listing<TierAnswer>({
    words: ['tiers', 'list'],
    summary: 'List service tiers: limits, price, and what was measured over a day',
    scope: 'none',
    path: '/api/v1/tiers',
    whole: true,
    head: [
      'TIER',
      'ACCELERATOR',
      'TOKENS/MIN',
      'REQUESTS/MIN',
      'AT ONCE',
      'LARGEST MODEL',
      'PRICE',
      'SERVED',
      'TTFT P50',
    ],
    row: (tier) => [
      tier.slug,
      tier.accelerator,
      count(tier.tokens_per_minute),
      count(tier.requests_per_minute),
      String(tier.concurrent_per_project),
      sizeText(tier.max_model_bytes) ?? 'any',
      priceText(tier.price),
      servedText(tier),
      milliseconds(tier.measured.ttft_p50_ms),
    ],
    empty: 'No tiers.',
  }),
];

function servedText({ measured: { requests, success_share } }: TierAnswer): string {
  if (success_share === null) return '0';
  return `${requests} (${(100 * success_share).toFixed(1)} % well)`;
}
