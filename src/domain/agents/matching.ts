/**
 * Who may serve a request: the filters of routing, in order, each with the reason that a receipt
 * names. Pure; what changes from moment to moment (links, slots, tried agents) is the scheduler's.
 *
 * Invariants
 * M1 An agent of another project never passes, in any stage (R2).
 * M2 A shared agent passes only for a model of the catalogue, or one whose digest the operator has
 *    approved, and for a project with shared access, unless it is bound to the very endpoint.
 * M3 Binding holds from both sides: a bound agent serves nothing else, an exclusive endpoint uses
 *    nobody else.
 */
import type {
  AgentEntry,
  ApiKeyEntry,
  EndpointEntry,
  ModelEntry,
  ProjectEntry,
} from '../directory.ts';
import { isWeaker, type IsolationLevel } from './isolation.ts';
import type { TierSlug } from '../tiers/tiers.ts';

/** Blocks of the beginning of a prompt. */
export interface PromptBlocks {
  /** Keyed hashes, each over its block and all before it: equal ones are equal beginnings. */
  blocks: readonly number[];
  blockBytes: number;
}

/** What the scheduler knows of a request. */
export interface RoutedRequest {
  id: string;
  project: ProjectEntry;
  endpoint: EndpointEntry;
  model: ModelEntry;
  /** What the caller says of where it is; null: nothing. */
  region: string | null;
  /** What the body asks of an engine, e.g. `tools`. */
  abilities: readonly string[];
  bodyBytes: number;
  /** What its prompt may have in common with others; absent: nothing is known of it. */
  prompt?: PromptBlocks | undefined;
  /** Its first byte is seen when it is made; absent: it is. */
  stream?: boolean | undefined;
  /** Tokens that it allows its answer to have, all choices together; null: it does not say. */
  maxTokens: number | null;
  /** When it came (epoch ms), with a key: the day that its tokens count for. */
  startedAtMs?: number | undefined;
  /** Who calls; null: nobody in particular. */
  key: Pick<ApiKeyEntry, 'id' | 'quota'> | null;
}

/** Agents of the caller's project (and those bound to the endpoint) first, then shared ones. */
export type Stage = 'own' | 'shared';

/** Whose an agent is: a project's own, or the platform's, bound to an endpoint or not. */
export type Ownership = 'own' | 'shared';

export const ownershipOf = ({ projectId }: Pick<AgentEntry, 'projectId'>): Ownership =>
  projectId === null ? 'shared' : 'own';

/** Why an agent or engine instance is out, in the order in which the filters run. */
export const exclusionReasons = [
  'not_active',
  'suspended',
  'other_project',
  'fallback_closed',
  'no_shared_access',
  'model_not_shared',
  'tier',
  'model',
  'ability',
  'binding',
  'exclusive',
  'isolation',
  'busy',
  'penalty_box',
  'tried',
  'over_limit',
] as const;

export type ExclusionReason = (typeof exclusionReasons)[number];

/** Isolation as an answer names it; `dedicated` is a machine that serves one project only. */
export type OfferedIsolation = IsolationLevel | 'dedicated';

/**
 * What an agent can prove. A shared agent bound to one endpoint serves one project only; the other
 * shared agents say `none`, because none of the levels between is enforced yet.
 */
export function isolationOf(agent: AgentEntry): OfferedIsolation {
  if (agent.projectId !== null) return 'dedicated';
  return agent.boundEndpointIds?.length === 1 ? 'dedicated' : 'none';
}

/** A dedicated machine satisfies every level but `microvm`, which is reserved. */
export function satisfiesIsolation(levels: {
  offered: OfferedIsolation;
  /** Null = the tier's default minimum, which is `none` on every tier. */
  demanded: IsolationLevel | null;
}): boolean {
  const { offered, demanded } = levels;
  if (demanded === null) return true;
  if (offered === 'dedicated') return demanded !== 'microvm';
  return !isWeaker(offered, demanded);
}

/** The tier that shared agents would serve this request on; null when they may not (M2). */
export function fallbackTier(request: RoutedRequest): TierSlug | null {
  return fallbackBar(request) === null ? tierOfFallback(request) : null;
}

const tierOfFallback = ({ endpoint }: RoutedRequest): TierSlug =>
  endpoint.fallback.tier ?? endpoint.tier;

/** What keeps a request from all shared agents, whoever is there; null: nothing does. */
export function fallbackBar(request: RoutedRequest): ExclusionReason | null {
  const { endpoint, project, model } = request;
  if (!endpoint.fallback.enabled || endpoint.exclusive) return 'fallback_closed';
  if (!project.sharedAccess) return 'no_shared_access';
  if (!isOpenToShared(model)) return 'model_not_shared';
  return tierOfFallback(request) === 'self_hosted' ? 'tier' : null;
}

/** The tier that serves in a stage: limits, timeouts and price are this one's. */
export function servingTier(request: RoutedRequest, stage: Stage): TierSlug | null {
  return stage === 'own' ? request.endpoint.tier : fallbackTier(request);
}

/**
 * Runs the filters that depend on who the agent is, not on what it does now. Null: it may serve the
 * request in this stage.
 */
export function agentExclusion(
  agent: AgentEntry,
  where: { request: RoutedRequest; stage: Stage },
): ExclusionReason | null {
  const { request, stage } = where;
  const { endpoint } = request;
  if (agent.state !== 'enrolled') return absence(agent);
  const bound = agent.boundEndpointIds?.includes(endpoint.id) === true;
  if (stage === 'own' ? !isOwn(agent, { request, bound }) : agent.projectId !== null) {
    return 'other_project';
  }
  const tier = servingTier(request, stage);
  if (tier === null) return fallbackBar(request) ?? 'fallback_closed';
  if (!agent.effectiveTiers.includes(tier)) return 'tier';
  if (!mayHold(agent, request.model)) return 'model';
  if (bound ? stage === 'shared' : agent.boundEndpointIds !== null) return 'binding';
  if (!bound && endpoint.exclusive) return 'exclusive';
  const offered = isolationOf(agent);
  if (!satisfiesIsolation({ offered, demanded: endpoint.minimumIsolation })) return 'isolation';
  return null;
}

/** What is said of an agent that takes nothing: that somebody has stopped it, where that is so. */
export function absence(agent: Pick<AgentEntry, 'state'>): ExclusionReason {
  return agent.state === 'suspended' ? 'suspended' : 'not_active';
}

/** M1: an own agent, or a shared one that the operator bound to this endpoint. */
function isOwn(agent: AgentEntry, where: { request: RoutedRequest; bound: boolean }): boolean {
  if (agent.projectId === where.request.project.id) return true;
  return agent.projectId === null && where.bound;
}

/** M1, M2: whether an agent may have this model at all. */
export function mayHold(agent: Pick<AgentEntry, 'projectId'>, model: ModelEntry): boolean {
  if (agent.projectId === null) return isOpenToShared(model);
  return model.projectId === null || model.projectId === agent.projectId;
}

/** M2: a model of the catalogue, or one whose digest the operator has approved. */
export function isOpenToShared(
  model: Pick<ModelEntry, 'projectId' | 'sha256' | 'approvedForShared'>,
): boolean {
  return model.projectId === null || (model.approvedForShared && model.sha256 !== null);
}

/** Whether an engine has everything that the body asks for. */
export function hasAbilities(
  engine: readonly string[],
  where: { asked: readonly string[] },
): boolean {
  return where.asked.every((ability) => engine.includes(ability));
}

/** Abilities that were asked for and are missing, in the order asked. */
export function missingAbilities(
  engine: readonly string[],
  where: { asked: readonly string[] },
): string[] {
  return where.asked.filter((ability) => !engine.includes(ability));
}

/**
 * Whether the agent may ever serve the endpoint, in either stage: decides which models it should
 * hold. What the endpoint's project lacks (shared access) rules shared agents out.
 */
export function mayServeEndpoint(
  agent: AgentEntry,
  where: { endpoint: EndpointEntry; project: ProjectEntry; model: ModelEntry },
): boolean {
  const nothing = { id: '', region: null, abilities: [], bodyBytes: 0, maxTokens: null, key: null };
  const request: RoutedRequest = { ...where, ...nothing };
  return (
    agentExclusion(agent, { request, stage: 'own' }) === null ||
    agentExclusion(agent, { request, stage: 'shared' }) === null
  );
}
