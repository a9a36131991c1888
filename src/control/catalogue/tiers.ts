/** Service tiers: their figures, what the operator says of them, and what was measured. */
import { labelledFeatures, type Features } from '../../domain/tiers/tierFeatures.ts';
import type { TierMeasures } from '../../domain/metering/tierMeasures.ts';
import {
  defaultTiers,
  deprecatedTierSlugs,
  isTierSlug,
  tierSlugs,
  type Tier,
  type TierSlug,
} from '../../domain/tiers/tiers.ts';
import { auditOf } from '../audit.ts';
import { longestTierFeatures } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { authorizePlatform, deniedAtAll, type Caller, type Denied } from '../principal.ts';
import { invalidField, type InvalidField } from '../invalidField.ts';
import { createTierMeasures, type MeasureTiers } from './tierMeasures.ts';

type Parts = Pick<ControlParts, 'store' | 'clock' | 'log' | 'config'>;

export interface TierView {
  tier: Tier;
  /** Figures that the operator has changed, as the product ships them. */
  overridden: Partial<Tier>;
  deprecatedSlugs: string[];
  /** With every figure labelled; null: nothing is said. */
  features: Record<string, unknown> | null;
  measured: TierMeasures & { sinceMs: number };
  /** Of the features. */
  version: number;
}

export interface TierUseCases {
  tiers(input: { caller: Caller }): Promise<{ ok: true; tiers: TierView[] } | Denied>;
  /** Null takes back what was said. */
  setTierFeatures(input: {
    caller: Caller;
    tier: string;
    features: Features | null;
    expectedVersion: number | null;
  }): Promise<
    | { ok: true; tier: TierView }
    | InvalidField
    | { ok: false; reason: 'not_found' | 'version_conflict' }
    | Denied
  >;
}

export function createTiers(parts: Parts): TierUseCases {
  const measure = createTierMeasures(parts);
  return {
    async tiers({ caller }) {
      const { kind } = caller.principal;
      const isInference = kind === 'api_key' && !caller.principal.scopes.includes('management');
      if (isInference) return { ok: false, reason: 'insufficient_permissions' };
      const denied = deniedAtAll(caller.principal);
      if (denied !== undefined) return denied;
      return { ok: true, tiers: await tierViews(parts, measure) };
    },
    async setTierFeatures(input) {
      const { caller, tier, expectedVersion } = input;
      const allowed = authorizePlatform(caller);
      if (!allowed.ok) return allowed;
      if (!isTierSlug(tier)) return { ok: false, reason: 'not_found' };
      const features = JSON.stringify(input.features);
      if (features.length > longestTierFeatures) {
        const rule = `as JSON it may have ${longestTierFeatures}`;
        const message = `features_json has ${features.length} characters; ${rule}.`;
        return invalidField('features_json', message);
      }
      const audit = auditOf(parts, caller, {
        action: 'tier.update',
        target: tier,
        projectId: null,
      });
      const outcome = await parts.store.setTierFeatures({
        tier,
        features,
        expectedVersion,
        audit,
      });
      if (!outcome.ok) return outcome;
      parts.log.info({ tier }, 'what is said of a tier was changed');
      const views = await tierViews(parts, measure);
      return { ok: true, tier: views[tierSlugs.indexOf(tier)] as TierView };
    },
  };
}

async function tierViews({ store, config }: Parts, measure: MeasureTiers): Promise<TierView[]> {
  const rows = new Map((await store.tierFeatures()).map((row) => [row.tier, row]));
  const { sinceMs, tiers: measured } = await measure();
  return tierSlugs.map((slug) => {
    const row = rows.get(slug);
    const said = row === undefined ? null : (JSON.parse(row.features) as Features | null);
    return {
      tier: config.tiers[slug],
      overridden: overriddenOf(config.tiers[slug]),
      deprecatedSlugs: deprecatedSlugsOf(slug),
      features: said === null ? null : labelledFeatures(said),
      measured: { ...measured[slug], sinceMs },
      version: row?.version ?? 0,
    };
  });
}

function overriddenOf(tier: Tier): Partial<Tier> {
  const shipped = defaultTiers[tier.slug];
  const names = Object.keys(shipped) as (keyof Tier)[];
  const changed = names.filter(
    (name) => JSON.stringify(shipped[name]) !== JSON.stringify(tier[name]),
  );
  return Object.fromEntries(changed.map((name) => [name, shipped[name]]));
}

function deprecatedSlugsOf(slug: TierSlug): string[] {
  return Object.entries(deprecatedTierSlugs).flatMap(([old, now]) => (now === slug ? [old] : []));
}
