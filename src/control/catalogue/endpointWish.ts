/** What a caller wants an endpoint to be, checked as far as that needs no look at others. */
import type { EndpointPatch } from '../../domain/settings/endpointSettings.ts';
import { isIsolationLevel } from '../../domain/agents/isolation.ts';
import { regionProblem } from '../../lib/text/slug.ts';
import { invalidField, shown, type InvalidField } from '../invalidField.ts';
import { tierField } from './tierField.ts';

/** What is left out stays as it is, or takes its default. */
export interface EndpointWish {
  modelId?: string | undefined;
  /** A slug from outside. */
  tier?: string | undefined;
  active?: boolean | undefined;
  fallback?:
    | {
        enabled?: boolean | undefined;
        afterMs?: number | undefined;
        /** A slug from outside; null: the endpoint's own tier. */
        tier?: string | null | undefined;
      }
    | undefined;
  region?: string | null | undefined;
  minimumIsolation?: string | null | undefined;
  resume?: boolean | undefined;
  queueTimeoutMs?: number | undefined;
  /** The whole binding; empty: nobody. */
  boundAgentIds?: readonly string[] | undefined;
}

export type ReadWish = { ok: true; patch: EndpointPatch; warnings: string[] } | InvalidField;

export function readEndpointWish(wish: EndpointWish): ReadWish {
  const { region, minimumIsolation = null } = wish;
  const tier = wish.tier === undefined ? none : tierField('tier', wish.tier);
  if (!tier.ok) return tier;
  const given = wish.fallback?.tier;
  const fallback = typeof given === 'string' ? tierField('fallback.tier', given) : none;
  if (!fallback.ok) return fallback;
  if (typeof region === 'string' && regionProblem(region) !== undefined) {
    const rule = '1 to 24 characters of printable ASCII without space';
    return invalidField('region', `region is ${shown(region)}; it must be ${rule}.`);
  }
  if (minimumIsolation !== null && !isIsolationLevel(minimumIsolation)) {
    const message = `minimum_isolation is ${shown(minimumIsolation)}; it names no level.`;
    return invalidField('minimum_isolation', message);
  }
  const { modelId, active, resume, queueTimeoutMs } = wish;
  const { enabled, afterMs } = wish.fallback ?? {};
  const patch: EndpointPatch = {
    modelId,
    tier: tier.tier,
    active,
    fallback: { enabled, afterMs, tier: given === null ? null : fallback.tier },
    region,
    minimumIsolation: wish.minimumIsolation === undefined ? undefined : minimumIsolation,
    resume,
    queueTimeoutMs,
  };
  return { ok: true, patch, warnings: [...tier.warnings, ...fallback.warnings] };
}

const none = { ok: true, tier: undefined, warnings: [] } as const;
