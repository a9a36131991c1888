/**
 * What an owner may set of an endpoint: defaults, how a patch is laid over what there is, and the
 * rules between settings. Pure: the store asks inside the transaction that locks the endpoint.
 *
 * Invariants
 * E1 Shared agents serve on a shared tier only: `self_hosted` falls back to a tier that it names.
 * E2 An endpoint that is bound exclusively has no fallback.
 * E3 A model is no larger than any tier that may serve it allows, where its size is known.
 */
import type { EndpointEntry, FallbackOptions } from '../directory.ts';
import { isWeaker, type IsolationLevel } from '../agents/isolation.ts';
import { longestQueueTimeoutMs } from '../limits.ts';
import type { TierSlug, TierTable } from '../tiers/tiers.ts';

export type EndpointSettings = Pick<
  EndpointEntry,
  | 'modelId'
  | 'tier'
  | 'active'
  | 'fallback'
  | 'region'
  | 'minimumIsolation'
  | 'resume'
  | 'queueTimeoutMs'
>;

type Loose<Thing> = { [Name in keyof Thing]?: Thing[Name] | undefined };

/** What is left out stays as it is. */
export interface EndpointPatch extends Loose<Omit<EndpointSettings, 'fallback'>> {
  fallback?: Loose<FallbackOptions> | undefined;
}

/** The settings of a new endpoint: what was given, the rest at its default. */
export function newEndpointSettings(
  given: EndpointPatch & Pick<EndpointSettings, 'modelId' | 'tier'>,
  where: { tiers: TierTable; exclusive: boolean },
): EndpointSettings {
  const enabled = !where.exclusive && where.tiers[given.tier].fallbackByDefault;
  const defaults: EndpointSettings = {
    modelId: given.modelId,
    tier: given.tier,
    active: true,
    fallback: { enabled, afterMs: 0, tier: null },
    region: null,
    minimumIsolation: null,
    resume: false,
    queueTimeoutMs: longestQueueTimeoutMs,
  };
  return patchedSettings(defaults, given);
}

/** `current` with a patch laid over it. */
export function patchedSettings(current: EndpointSettings, patch: EndpointPatch): EndpointSettings {
  const { fallback, region = current.region, ...rest } = patch;
  const { minimumIsolation = current.minimumIsolation } = patch;
  return {
    modelId: rest.modelId ?? current.modelId,
    tier: rest.tier ?? current.tier,
    active: rest.active ?? current.active,
    fallback: {
      enabled: fallback?.enabled ?? current.fallback.enabled,
      afterMs: fallback?.afterMs ?? current.fallback.afterMs,
      tier: fallback?.tier === undefined ? current.fallback.tier : fallback.tier,
    },
    region,
    minimumIsolation,
    resume: rest.resume ?? current.resume,
    queueTimeoutMs: rest.queueTimeoutMs ?? current.queueTimeoutMs,
  };
}

/** One rule that the settings break, with the figures that a message needs. */
export type SettingsProblem =
  | { kind: 'queue_timeout'; queueTimeoutMs: number; mostMs: number }
  | { kind: 'fallback_after'; afterMs: number; queueTimeoutMs: number }
  /** E1 */
  | { kind: 'fallback_tier_needed' | 'fallback_tier_private' }
  /** E2 */
  | { kind: 'fallback_of_exclusive' }
  | {
      kind: 'isolation_too_weak';
      demanded: IsolationLevel;
      minimum: IsolationLevel;
      tier: TierSlug;
    }
  /** E3 */
  | { kind: 'model_too_large'; tier: TierSlug; sizeBytes: number; maxBytes: number };

/** What else the rules depend on. */
export interface SettingsContext {
  tiers: TierTable;
  exclusive: boolean;
  /** Null: not known. */
  modelBytes: number | null;
  /** The operator may go below a tier's minimum. */
  mayWeakenIsolation: boolean;
}

/** The first rule that the settings break; null: none. */
export function settingsProblem(
  settings: EndpointSettings,
  context: SettingsContext,
): SettingsProblem | null {
  return (
    timingProblem(settings) ??
    fallbackProblem(settings, context) ??
    isolationProblem(settings, context) ??
    sizeProblem(settings, context)
  );
}

function timingProblem({ queueTimeoutMs, fallback }: EndpointSettings): SettingsProblem | null {
  const mostMs = longestQueueTimeoutMs;
  if (!isMs(queueTimeoutMs, { least: 1, most: mostMs })) {
    return { kind: 'queue_timeout', queueTimeoutMs, mostMs };
  }
  const { afterMs } = fallback;
  if (isMs(afterMs, { least: 0, most: queueTimeoutMs })) return null;
  return { kind: 'fallback_after', afterMs, queueTimeoutMs };
}

const isMs = (value: number, range: { least: number; most: number }): boolean =>
  Number.isInteger(value) && value >= range.least && value <= range.most;

function fallbackProblem(
  { tier, fallback }: EndpointSettings,
  { exclusive }: SettingsContext,
): SettingsProblem | null {
  if (fallback.tier === 'self_hosted') return { kind: 'fallback_tier_private' };
  if (!fallback.enabled) return null;
  if (exclusive) return { kind: 'fallback_of_exclusive' };
  if (tier === 'self_hosted' && fallback.tier === null) return { kind: 'fallback_tier_needed' };
  return null;
}

function isolationProblem(
  { tier, minimumIsolation }: EndpointSettings,
  { tiers, mayWeakenIsolation }: SettingsContext,
): SettingsProblem | null {
  const { minimumIsolation: minimum } = tiers[tier];
  if (minimumIsolation === null || mayWeakenIsolation) return null;
  if (!isWeaker(minimumIsolation, minimum)) return null;
  return { kind: 'isolation_too_weak', demanded: minimumIsolation, minimum, tier };
}

function sizeProblem(
  settings: EndpointSettings,
  { tiers, modelBytes: sizeBytes }: SettingsContext,
): SettingsProblem | null {
  if (sizeBytes === null) return null;
  for (const tier of servingTiers(settings)) {
    const { maxModelBytes: maxBytes } = tiers[tier];
    if (maxBytes !== null && sizeBytes > maxBytes) {
      return { kind: 'model_too_large', tier, sizeBytes, maxBytes };
    }
  }
  return null;
}

/** The tiers on which an endpoint may be served: its own, and the one that it falls back to. */
export function servingTiers({
  tier,
  fallback,
}: Pick<EndpointSettings, 'tier' | 'fallback'>): TierSlug[] {
  const other = fallback.enabled && fallback.tier !== null && fallback.tier !== tier;
  return other ? [tier, fallback.tier as TierSlug] : [tier];
}
