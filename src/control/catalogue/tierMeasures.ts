/**
 * What each tier came to over the last 24 hours, from the usage records. A day is summed from short
 * slices; one that has been over for a while is read once and kept, so that the database is asked
 * about hours, not about a day, and never for long at a time.
 *
 * Invariants
 * TM1 A slice is kept only when no record of it can still come, but for journals that were away for
 *     longer than `tierSliceSettledMs`.
 * TM2 Memory holds the slices of one day.
 */
import {
  measuresOf,
  type TierMeasures,
  type TierSlice,
} from '../../domain/metering/tierMeasures.ts';
import { tierSlugs, type TierSlug } from '../../domain/tiers/tiers.ts';
import { tierMeasuredMs, tierMeasuresKeptMs, tierSliceMs, tierSliceSettledMs } from '../limits.ts';
import type { ControlParts } from '../parts.ts';

export interface MeasuredTiers {
  /** Requests that began before are not in it. Epoch ms. */
  sinceMs: number;
  tiers: Readonly<Record<TierSlug, TierMeasures>>;
}

export type MeasureTiers = () => Promise<MeasuredTiers>;

/** The measures of the last day, at most `tierMeasuresKeptMs` old. */
export function createTierMeasures({
  store,
  clock,
}: Pick<ControlParts, 'store' | 'clock'>): MeasureTiers {
  const settled = new Map<number, TierSlice[]>();
  let latest: { atMs: number; measured: Promise<MeasuredTiers> } | undefined;

  const sliceFrom = async (fromMs: number, span: { sinceMs: number; nowMs: number }) => {
    const toMs = fromMs + tierSliceMs;
    const known = settled.get(fromMs);
    if (known !== undefined) return known;
    const isWhole = fromMs >= span.sinceMs;
    const slice = await store.tierSlices({ fromMs: Math.max(fromMs, span.sinceMs), toMs });
    if (isWhole && toMs + tierSliceSettledMs <= span.nowMs) settled.set(fromMs, slice);
    return slice;
  };

  const measure = async (nowMs: number): Promise<MeasuredTiers> => {
    const sinceMs = nowMs - tierMeasuredMs;
    const slices: TierSlice[] = [];
    for (const fromMs of settled.keys()) if (fromMs < sinceMs) settled.delete(fromMs);
    // One after the other: others ask the database, too.
    for (let fromMs = startOfSlice(sinceMs); fromMs <= nowMs; fromMs += tierSliceMs) {
      slices.push(...(await sliceFrom(fromMs, { sinceMs, nowMs })));
    }
    const entries = tierSlugs.map((slug) => [
      slug,
      measuresOf(slices.filter(({ tier }) => tier === slug)),
    ]);
    return { sinceMs, tiers: Object.fromEntries(entries) as Record<TierSlug, TierMeasures> };
  };

  return () => {
    const nowMs = clock.now();
    if (latest !== undefined && nowMs - latest.atMs < tierMeasuresKeptMs) return latest.measured;
    const measured = measure(nowMs);
    const mine = { atMs: nowMs, measured };
    latest = mine;
    return measured.catch((error: unknown) => {
      // The next one tries again.
      if (latest === mine) latest = undefined;
      throw error;
    });
  };
}

const startOfSlice = (atMs: number): number => Math.floor(atMs / tierSliceMs) * tierSliceMs;
