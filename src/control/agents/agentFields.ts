/** What may stand in the fields that agents have, and join keys for them. */
import { resolveTierSlug, tierSlugs, type TierSlug } from '../../domain/tiers/tiers.ts';
import { regionProblem } from '../../lib/text/slug.ts';
import { invalidField, shown, type InvalidField } from '../invalidField.ts';
import { leastStorageLimitBytes } from '../limits.ts';

export function regionInvalid(region: string | undefined): InvalidField<'region'> | undefined {
  if (region === undefined || regionProblem(region) === undefined) return undefined;
  const rule = '1 to 24 characters of printable ASCII without space';
  return invalidField('region', `region is ${shown(region)}; it must be ${rule}.`);
}

/** Null: no limit. */
export function storageLimitInvalid(
  bytes: number | null,
): InvalidField<'storage_limit_bytes'> | undefined {
  if (bytes === null || (Number.isSafeInteger(bytes) && bytes >= leastStorageLimitBytes)) {
    return undefined;
  }
  const rule = `at least ${leastStorageLimitBytes} bytes, or off`;
  const message = `storage_limit_bytes is ${bytes}; it must be ${rule}.`;
  return invalidField('storage_limit_bytes', message);
}

type TierList =
  | { ok: true; slugs: TierSlug[] | null; warnings: string[] }
  | InvalidField<'supported_tiers'>;

/**
 * Slugs from outside → tiers in the table's order; a deprecated one is replaced, and warned of. A
 * private agent never carries `free`, a shared one never `self_hosted`; null: the accelerator's
 * default.
 */
export function readSupportedTiers(
  given: readonly string[] | null,
  { isPlatform }: { isPlatform: boolean },
): TierList {
  if (given === null) return { ok: true, slugs: null, warnings: [] };
  const chosen = new Set<TierSlug>();
  const warnings = new Set<string>();
  for (const slug of given) {
    const tier = resolveTierSlug(slug);
    if (!tier.ok) {
      const known = tierSlugs.join(', ');
      const message = `supported_tiers names ${shown(slug)}; tiers are: ${known}.`;
      return invalidField('supported_tiers', message);
    }
    if (tier.slug === (isPlatform ? 'self_hosted' : 'free')) return misplaced(tier.slug);
    if (tier.deprecated !== undefined) {
      warnings.add(`${tier.deprecated} is deprecated and was stored as ${tier.slug}.`);
    }
    chosen.add(tier.slug);
  }
  const slugs = tierSlugs.filter((slug) => chosen.has(slug));
  return { ok: true, slugs, warnings: [...warnings] };
}

function misplaced(slug: 'free' | 'self_hosted'): InvalidField<'supported_tiers'> {
  const rule =
    slug === 'free' ? 'only shared agents carry it' : 'only a project’s own agents carry it';
  return invalidField('supported_tiers', `supported_tiers names ${slug}; ${rule}.`);
}
