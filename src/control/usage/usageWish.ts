/** Of which requests usage is asked, and by what it is to be summed; names are the wire's. */
import { usageDimensions, type UsageDimension } from '../../domain/metering/usageDimensions.ts';
import type { UsageFilter } from '../../store/contract/usageStore.ts';
import { tierField } from '../catalogue/tierField.ts';
import { invalidField, shown, type InvalidField } from '../invalidField.ts';
import { longestUsageRangeMs, usualUsageRangeMs } from '../limits.ts';

export interface UsageWish {
  /** Epoch ms. */
  fromMs?: number | undefined;
  toMs?: number | undefined;
  /** Slug or id. */
  endpoint?: string | undefined;
  modelId?: string | undefined;
  apiKeyId?: string | undefined;
  agentId?: string | undefined;
  /** A slug from outside. */
  tier?: string | undefined;
}

export type BoundedFilter = UsageFilter & { fromMs: number; toMs: number };

/** With its range, which is bounded; by default the last 30 days. */
export function readUsageWish(
  wish: UsageWish,
  nowMs: number,
): { ok: true; filter: BoundedFilter } | InvalidField {
  const filter = readUsageFilter(wish);
  if (!filter.ok) return filter;
  const { toMs = nowMs } = wish;
  const { fromMs = toMs - usualUsageRangeMs } = wish;
  if (fromMs >= toMs) return invalidField('from', "'from' must be before 'to'.");
  if (toMs - fromMs > longestUsageRangeMs) {
    const days = longestUsageRangeMs / 86_400_000;
    return invalidField('from', `'from' is more than ${days} days before 'to'.`);
  }
  return { ok: true, filter: { ...filter.filter, fromMs, toMs } };
}

/** As it is. */
export function readUsageFilter(wish: UsageWish): { ok: true; filter: UsageFilter } | InvalidField {
  if (wish.tier === undefined) return { ok: true, filter: wish };
  const tier = tierField('tier', wish.tier);
  return tier.ok ? { ok: true, filter: { ...wish, tier: tier.tier } } : tier;
}

/** `day,endpoint`; nothing: totals only. */
export function readGroupBy(
  text: string | undefined,
): { ok: true; by: UsageDimension[] } | InvalidField {
  const words = (text ?? '').split(',').filter((word) => word !== '');
  const by = usageDimensions.filter((dimension) => words.includes(dimension));
  if (by.length < words.length) {
    const odd = words.find((word, at) => !isDimension(word) || words.indexOf(word) !== at) ?? '';
    const rule = `each of ${usageDimensions.join(', ')} once at most, separated by commas`;
    return invalidField('group_by', `group_by names ${shown(odd)}; it may name ${rule}.`);
  }
  if (by.includes('hour') && by.includes('day')) {
    return invalidField('group_by', 'group_by names hour and day; take one of them.');
  }
  return { ok: true, by };
}

const isDimension = (word: string): boolean =>
  (usageDimensions as readonly string[]).includes(word);
