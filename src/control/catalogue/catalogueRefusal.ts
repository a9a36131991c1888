/**
 * What the store's transactions refuse of endpoints and models, in the words of those who asked:
 * the message names the knob, its value and the limit.
 */
import type { SettingsProblem } from '../../domain/settings/endpointSettings.ts';
import type { QuotaExcess } from '../../domain/settings/freeQuota.ts';
import type {
  CatalogueStore,
  EndpointName,
  EndpointRefusal,
  ModelRefusal,
} from '../../store/contract/catalogueStore.ts';
import type { Refused } from '../../store/contract/refused.ts';
import { invalidField, shown, type InvalidField } from '../invalidField.ts';

export type CatalogueRefusal =
  | InvalidField
  | { ok: false; reason: 'not_found' | 'version_conflict' | 'project_not_found' }
  | { ok: false; reason: 'model_not_found' }
  | { ok: false; reason: 'conflict'; message: string }
  | {
      ok: false;
      reason: 'tier_quota_exceeded';
      message: string;
      limit: { name: string; value: number; used: number };
    };

type StoreRefusal =
  | EndpointRefusal
  | ModelRefusal
  | Refused<'not_found' | 'version_conflict'>
  | Extract<
      Awaited<ReturnType<CatalogueStore['updateModel' | 'deleteModel']>>,
      { reason: 'model_too_large' | 'model_in_use' }
    >;

const conflict = (message: string): CatalogueRefusal => ({
  ok: false,
  reason: 'conflict',
  message,
});

/** `about.project` null: the caller sees the whole platform, and other projects by name. */
export function catalogueRefusal(
  refusal: StoreRefusal,
  about: { slug?: string; project: string | null },
): CatalogueRefusal {
  switch (refusal.reason) {
    case 'not_found':
    case 'version_conflict':
    case 'model_not_found':
      return { ok: false, reason: refusal.reason };
    case 'unknown_project':
      return { ok: false, reason: 'project_not_found' };
    case 'slug_taken':
      return conflict(`slug is ${shown(about.slug ?? '')}; the project has such an endpoint.`);
    case 'too_many_endpoints':
      return conflict(`A project may have ${refusal.limit} endpoints. Delete one first.`);
    case 'too_many_models':
      return conflict(`${refusal.limit} models may be registered. Delete one first.`);
    case 'bad_settings':
      return settingsRefusal(refusal.problem);
    case 'quota':
      return quotaRefusal(refusal.excess);
    case 'model_too_large':
    case 'model_in_use':
      return modelRefusal(refusal, about);
    default:
      return bindingRefusal(refusal);
  }
}

function bindingRefusal(
  refusal: Extract<
    StoreRefusal,
    {
      reason:
        | 'agent_not_found'
        | 'endpoint_not_found'
        | 'endpoint_falls_back'
        | 'too_many_bindings';
    }
  >,
): CatalogueRefusal {
  switch (refusal.reason) {
    case 'agent_not_found': {
      const which = shown(refusal.agentId);
      const rule = 'there is no such agent of this project that is alive';
      return invalidField('bound_agent_ids', `bound_agent_ids names ${which}; ${rule}.`);
    }
    case 'endpoint_not_found': {
      const which = shown(refusal.endpointId);
      const rule = 'there is no such endpoint that this agent could serve';
      return invalidField('bound_endpoint_ids', `bound_endpoint_ids names ${which}; ${rule}.`);
    }
    case 'endpoint_falls_back': {
      const which = shown(refusal.endpointSlug);
      return conflict(
        `The endpoint ${which} has fallback.enabled on; an endpoint with agents of its own must ` +
          'not fall back. Turn it off first.',
      );
    }
    case 'too_many_bindings':
      return conflict(`At most ${refusal.limit} may be bound at once.`);
  }
}

function settingsRefusal(problem: SettingsProblem): InvalidField {
  switch (problem.kind) {
    case 'queue_timeout': {
      const { queueTimeoutMs, mostMs } = problem;
      const rule = `a whole number of ms from 1 to ${mostMs}`;
      const message = `queue_timeout_ms is ${queueTimeoutMs}; it must be ${rule}.`;
      return invalidField('queue_timeout_ms', message);
    }
    case 'fallback_after': {
      const { afterMs, queueTimeoutMs } = problem;
      const rule = `a whole number of ms from 0 to queue_timeout_ms, which is ${queueTimeoutMs}`;
      const message = `fallback.after_ms is ${afterMs}; it must be ${rule}.`;
      return invalidField('fallback.after_ms', message);
    }
    case 'fallback_tier_needed':
      return invalidField(
        'fallback.tier',
        'tier is self_hosted and fallback.enabled is true; then fallback.tier must name the ' +
          'shared tier that serves.',
      );
    case 'fallback_tier_private':
      return invalidField(
        'fallback.tier',
        'fallback.tier is self_hosted, which no shared agent carries; name a shared tier.',
      );
    case 'fallback_of_exclusive':
      return invalidField(
        'fallback.enabled',
        'fallback.enabled is true and agents are bound to the endpoint; with bound agents it ' +
          'must be false. Change both in one call.',
      );
    case 'isolation_too_weak': {
      const { demanded, minimum, tier } = problem;
      const rule = `the minimum of ${tier} is ${minimum}, and only an operator may go below it`;
      const message = `minimum_isolation is ${demanded}; ${rule}.`;
      return invalidField('minimum_isolation', message);
    }
    case 'model_too_large': {
      const { tier, sizeBytes, maxBytes } = problem;
      const rule = `${tier} takes models of at most ${maxBytes} bytes`;
      return invalidField('model_id', `The model has ${sizeBytes} bytes; ${rule}.`);
    }
  }
}

function quotaRefusal({ quota, limit, wanted }: QuotaExcess): CatalogueRefusal {
  const things = quota === 'endpoints' ? 'endpoints' : 'models of its own';
  const message =
    `The free quota is ${limit} ${things}, and this would make ${wanted}. It holds for a project ` +
    'without an endpoint on another tier than free; create one, or keep the one that there is.';
  const name = `free_${quota}`;
  return {
    ok: false,
    reason: 'tier_quota_exceeded',
    message,
    limit: { name, value: limit, used: wanted },
  };
}

function modelRefusal(
  refusal: Extract<StoreRefusal, { reason: 'model_too_large' | 'model_in_use' }>,
  about: { project: string | null },
): CatalogueRefusal {
  const nameOf = ({ project, slug }: EndpointName): string =>
    about.project === null ? `${project}/${slug}` : slug;
  if (refusal.reason === 'model_too_large') {
    const { endpoint, tier, sizeBytes, maxBytes } = refusal;
    const rule = `the endpoint ${nameOf(endpoint)} is on ${tier}, which takes at most ${maxBytes}`;
    return invalidField('size_bytes', `size_bytes is ${sizeBytes}; ${rule}.`);
  }
  const { endpoints, count } = refusal;
  const names = endpoints.map(nameOf).join(', ');
  const more = count > endpoints.length ? ` and ${count - endpoints.length} more` : '';
  return conflict(`The model is used by ${count} endpoints: ${names}${more}. Change them first.`);
}
