/** `xim tiers`: what serves an endpoint, at which limits and price. */
import type { TierAnswer } from '../../api/control/tiers.ts';
import type { Command } from '../command.ts';
import { endCommand, print } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import { countText, fieldTable, joined, milliseconds, onOff, sizeText } from '../textTable.ts';
import { textRow } from './optionRows.ts';
import type { ListedPage } from './reference.ts';
import { changing, listing, resourceCommand, type Field } from './resourceCommand.ts';

const tiersPath = '/api/v1/tiers';

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
    path: tiersPath,
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
  // There are seven of them: the list is all that the server has.
  resourceCommand(
    {
      words: ['tiers', 'show'],
      summary: 'Show a service tier: every figure, and what the operator says of it',
      scope: 'none',
      path: tiersPath,
      operands: [{ name: 'TIER' }],
    },
    {},
    async ({ call, session, context, options, operands: [slug = ''] }) => {
      const path = await call.path();
      const { data } = await session.call<ListedPage<TierAnswer>>({ method: 'GET', path });
      const tier = data.find((one) => one.slug === slug || one.deprecated_slugs.includes(slug));
      if (tier === undefined) {
        endCommand(
          `there is no tier "${slug}". See those there are: xim tiers list`,
          exitCodes.refused,
        );
      }
      print({ context, options: options as never }, tier, () => fieldTable(show(tier)));
    },
  ),
  changing<TierAnswer>({
    words: ['tiers', 'set'],
    summary: 'Say something of a tier, shown beside what was measured; for operators',
    details: 'Figures are shown as targets. Limits and prices are the server’s options.',
    scope: 'platform',
    method: 'PATCH',
    versioned: true,
    path: '/tiers/{}',
    operands: [{ name: 'TIER' }],
    fields: {
      features: {
        row: {
          ...textRow({
            flag: 'features',
            placeholder: 'JSON',
            help: 'An object, in place of the one before; "$(cat FILE)" gives a file’s.',
          }),
          check: (text: string) =>
            objectIn(text) === undefined ? 'give an object, e.g. {"uptime":"99.9 %"}' : undefined,
        },
        member: 'features_json',
        to: (text: string) => objectIn(text),
        unset: null,
      },
    },
    say: (tier) => fieldTable(show(tier)),
  }),
];

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function show(tier: TierAnswer): Field[] {
  const { measured } = tier;
  return [
    ['tier', tier.slug],
    ['name', tier.name],
    ['once called', joined(tier.deprecated_slugs)],
    ['accelerator', tier.accelerator],
    ['tenancy', tier.tenancy],
    ['isolation', `at least ${tier.minimum_isolation}`],
    ['priority', String(tier.priority)],
    ['tokens/min', count(tier.tokens_per_minute)],
    ['requests/min', count(tier.requests_per_minute)],
    ['at once', `${tier.concurrent_per_project} of a project`],
    ['engine batch', String(tier.engine_batch)],
    ['request timeout', milliseconds(tier.request_timeout_ms)],
    ['idle timeout', milliseconds(tier.idle_stream_timeout_ms)],
    ['largest model', sizeText(tier.max_model_bytes) ?? 'any'],
    ['price', priceText(tier.price)],
    ['streaming', onOff(tier.streaming)],
    ['batching', onOff(tier.batching)],
    ['fallback', `${onOff(tier.fallback_by_default)} by default`],
    ['changed here', joined(Object.keys(tier.overrides).map((name) => name.replaceAll('_', ' ')))],
    ['served in a day', servedText(tier)],
    ['TTFT p50, p99', ttftText(measured)],
    ['tokens/s', measured.tokens_per_second?.toFixed(1) ?? null],
    ...saidFields(tier),
    ['version', String(tier.version)],
  ];
}

function ttftText({ ttft_p50_ms, ttft_p99_ms }: TierAnswer['measured']): string | null {
  if (ttft_p50_ms === null) return null;
  return `${milliseconds(ttft_p50_ms)}, ${milliseconds(ttft_p99_ms) ?? '–'}`;
}

/** Free-form: the server has put its label to every figure. */
function saidFields({ features_json: said }: TierAnswer): Field[] {
  return Object.entries(said ?? {}).map(([name, value]) => [name, saidText(value)]);
}

function saidText(value: unknown): string {
  const { value: figure, label } = (value ?? {}) as { value?: unknown; label?: unknown };
  if (typeof label !== 'string') return plain(value);
  return `${plain(figure)} (${label})`;
}

const plain = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value);

function servedText({ measured: { requests, success_share } }: TierAnswer): string {
  if (success_share === null) return '0';
  return `${requests} (${(100 * success_share).toFixed(1)} % well)`;
}
