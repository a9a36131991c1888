/** Tiers without rates, for tests that are about something else than limits. */
import {
  tierSlugs,
  tierTable,
  type TierOverride,
  type TierTable,
} from '../../domain/tiers/tiers.ts';

/** The shipped table without rates, and with what `over` says of every tier. */
export function unlimitedTiers(over: TierOverride = {}): TierTable {
  const unlimited = { tokensPerMinute: null, requestsPerMinute: null, ...over };
  return tierTable(Object.fromEntries(tierSlugs.map((slug) => [slug, unlimited])));
}
