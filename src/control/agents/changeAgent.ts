/** Changes what a person may change of an agent. Links and work follow the change by themselves. */
import { effectiveTiers, type AcceleratorFacts, type CpuFacts } from '../../domain/tiers/tiers.ts';
import type { AgentPatch, AgentRow } from '../../store/contract/agentStore.ts';
import { auditOf } from '../audit.ts';
import { catalogueRefusal, type CatalogueRefusal } from '../catalogue/catalogueRefusal.ts';
import { invalidField, shown, type InvalidField } from '../invalidField.ts';
import { longestDescription, longestName, mostConcurrentRequests } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import type { Caller, Denied, OwnerRef } from '../principal.ts';
import { readSupportedTiers, regionInvalid, storageLimitInvalid } from './agentFields.ts';
import { authorizeAgent, type NotFound } from './agents.ts';
import { agentView, type AgentView } from './agentView.ts';

/** What is left out stays as it is. */
export interface AgentWish {
  name?: string | undefined;
  description?: string | undefined;
  region?: string | undefined;
  /** 0: as many as the agent grants. */
  maxConcurrentRequests?: number | undefined;
  /** Slugs from outside; null: the accelerator's default. */
  supportedTiers?: readonly string[] | null | undefined;
  /** The whole binding; null or empty: bound to nothing. */
  boundEndpointIds?: readonly string[] | null | undefined;
  /** Null: no limit but the disk. */
  storageLimitBytes?: number | null | undefined;
}

export type ChangeAgentOutcome =
  | { ok: true; agent: AgentView; warnings: string[] }
  | { ok: false; reason: 'agent_dead' }
  | NotFound
  | CatalogueRefusal
  | Denied;

export async function updateAgent(
  parts: Pick<ControlParts, 'store' | 'clock' | 'log'>,
  input: {
    caller: Caller;
    owner: OwnerRef;
    agentId: string;
    wish: AgentWish;
    expectedVersion: number | null;
  },
): Promise<ChangeAgentOutcome> {
  const { caller, owner, agentId, wish, expectedVersion } = input;
  const found = await authorizeAgent(parts, { caller, owner, agentId, role: 'owner' });
  if (!found.ok) return found;
  const { projectId } = found.agent;
  const read = readAgentWish(wish, found.agent);
  if (!read.ok) return read;
  const { patch, warnings } = read;
  const { boundEndpointIds } = wish;
  const outcome = await parts.store.updateAgent({
    agentId,
    projectId,
    patch,
    boundEndpointIds: boundEndpointIds?.length === 0 ? null : boundEndpointIds,
    expectedVersion,
    audit: auditOf(parts, caller, { action: 'agent.update', target: agentId, projectId }),
  });
  if (outcome.ok) {
    parts.log.info({ agentId, fields: Object.keys(wish) }, 'agent changed');
    return { ok: true, agent: agentView(outcome.agent), warnings };
  }
  switch (outcome.reason) {
    case 'dead':
      return { ok: false, reason: 'agent_dead' };
    case 'name_taken': {
      const message = `name is ${shown(patch.name ?? '')}; another agent has it.`;
      return { ok: false, reason: 'conflict', message };
    }
    default:
      return catalogueRefusal(outcome, { project: projectId });
  }
}

type ReadWish = { ok: true; patch: AgentPatch; warnings: string[] } | InvalidField;

function readAgentWish(wish: AgentWish, agent: AgentRow): ReadWish {
  const { region, maxConcurrentRequests, storageLimitBytes, supportedTiers } = wish;
  const name = wish.name?.trim();
  const problem =
    textInvalid('name', { text: name, least: 1, most: longestName }) ??
    textInvalid('description', { text: wish.description, least: 0, most: longestDescription }) ??
    regionInvalid(region) ??
    concurrencyInvalid(maxConcurrentRequests) ??
    storageLimitInvalid(storageLimitBytes ?? null);
  if (problem !== undefined) return problem;
  const patch: AgentPatch = {
    name,
    description: wish.description,
    region,
    maxConcurrentRequests,
    storageLimitBytes,
  };
  if (supportedTiers === undefined) return { ok: true, patch, warnings: [] };
  const isPlatform = agent.projectId === null;
  const tiers = readSupportedTiers(supportedTiers, { isPlatform });
  if (!tiers.ok) return tiers;
  const { slugs: supported, warnings } = tiers;
  // As it said when it enrolled; those were checked then.
  const { accelerators, cpu } = JSON.parse(agent.facts) as MachineFacts;
  const ownership = isPlatform ? 'shared' : 'project';
  const effective = effectiveTiers({ accelerators, cpu, ownership, supportedTiers: supported });
  return { ok: true, patch: { ...patch, tiers: { supported, effective } }, warnings };
}

interface MachineFacts {
  accelerators: readonly AcceleratorFacts[];
  cpu: CpuFacts;
}

function textInvalid(
  param: 'name' | 'description',
  { text, least, most }: { text: string | undefined; least: number; most: number },
): InvalidField | undefined {
  if (text === undefined) return undefined;
  if (text.length < least || text.length > most) {
    const rule = `it must have ${least} to ${most}`;
    return invalidField(param, `${param} has ${text.length} characters; ${rule}.`);
  }
  if (!/[\p{Cc}\p{Cs}]/u.test(text)) return undefined;
  return invalidField(param, `${param} holds control characters; leave them out.`);
}

function concurrencyInvalid(wanted: number | undefined): InvalidField | undefined {
  if (wanted === undefined) return undefined;
  if (Number.isInteger(wanted) && wanted >= 0 && wanted <= mostConcurrentRequests) return undefined;
  const rule = `a whole number from 0 (as many as the agent grants) to ${mostConcurrentRequests}`;
  const message = `max_concurrent_requests is ${wanted}; it must be ${rule}.`;
  return invalidField('max_concurrent_requests', message);
}
