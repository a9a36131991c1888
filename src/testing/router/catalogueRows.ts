/** Inputs of the store's catalogue methods for tests: a test names only what it is about. */
import type { EndpointEntry } from '../../domain/directory.ts';
import { tierTable } from '../../domain/tiers/tiers.ts';
import type { CatalogueRules, CatalogueStore } from '../../store/contract/catalogueStore.ts';
import type { Store } from '../../store/store.ts';
import { endpointEntry, modelEntry, projectEntry } from './directoryEntries.ts';
import { agentRow, auditNote, bootstrapRows, joinKeyRow, startMs } from '../database/storeRows.ts';

type Input<Name extends keyof CatalogueStore> = Parameters<CatalogueStore[Name]>[0];

/** As an owner who is no operator. */
export const ownerRules: CatalogueRules = { tiers: tierTable(), byOperator: false };
export const operatorRules: CatalogueRules = { ...ownerRules, byOperator: true };

export function newEndpoint(
  over: Partial<EndpointEntry> = {},
  input: Partial<Input<'createEndpoint'>> = {},
): Input<'createEndpoint'> {
  const endpoint = endpointEntry({
    id: `ep_${over.slug ?? 'new'}`,
    slug: 'new',
    createdAtMs: startMs,
    ...over,
  });
  const { id: targetId, projectId } = endpoint;
  const audit = auditNote({
    action: 'endpoint.create',
    targetKind: 'endpoint',
    targetId,
    projectId,
  });
  return { endpoint, boundAgentIds: [], rules: ownerRules, atMost: 1000, audit, ...input };
}

export function endpointUpdate(over: Partial<Input<'updateEndpoint'>>): Input<'updateEndpoint'> {
  return {
    projectId: 'proj_a',
    id: 'ep_a',
    patch: {},
    boundAgentIds: undefined,
    rules: ownerRules,
    expectedVersion: null,
    audit: auditNote({ action: 'endpoint.update', targetKind: 'endpoint' }),
    ...over,
  };
}

export function endpointDeletion(
  over: Partial<Input<'deleteEndpoint'>> = {},
): Input<'deleteEndpoint'> {
  const audit = auditNote({ action: 'endpoint.delete', targetKind: 'endpoint' });
  return { projectId: 'proj_a', id: 'ep_a', audit, ...over };
}

export function newModel(
  over: Partial<Input<'createModel'>['model']> = {},
  input: Partial<Input<'createModel'>> = {},
): Input<'createModel'> {
  const { approvedForShared: _approved, ...entry } = modelEntry({ id: 'model_new' });
  const model = { ...entry, projectId: 'proj_a', createdAtMs: startMs, ...over };
  const audit = auditNote({ action: 'model.create', targetKind: 'model', targetId: model.id });
  return { model, atMost: 1000, audit, ...input };
}

export function modelUpdate(over: Partial<Input<'updateModel'>>): Input<'updateModel'> {
  const { tiers } = ownerRules;
  const audit = auditNote({ action: 'model.update', targetKind: 'model' });
  return {
    id: 'model_a',
    projectId: null,
    patch: {},
    tiers,
    expectedVersion: null,
    audit,
    ...over,
  };
}

/** A first start whose endpoint is unbound, with a project that has nothing. */
export async function withCatalogue(store: Store): Promise<void> {
  await store.bootstrap(bootstrapRows());
}

/** An agent that has enrolled; its id is `agent-<number>`. */
export async function withAgent(
  store: Store,
  number: number,
  owner: { projectId: string | null } = { projectId: 'proj_a' },
): Promise<string> {
  const { projectId } = owner;
  const key = joinKeyRow({ id: `jk_agent_${number}`, projectId });
  await store.insertJoinKey({ row: key, audit: auditNote() });
  const agent = agentRow(number, { projectId, joinKeyId: key.id, boundEndpointIds: null });
  const outcome = await store.enroll({
    joinKeyId: key.id,
    secretSha256: key.secretSha256,
    nowMs: startMs,
    agent,
    resume: null,
    retryGraceMs: 0,
  });
  if (!outcome.ok) throw new Error(outcome.reason);
  return outcome.agent.id;
}

export const otherProject = projectEntry({ id: 'proj_b', slug: 'b' });

/** A second project, past the store: projects are made elsewhere. */
export const insertOtherProject = `insert into projects
  (id, slug, name, shared_access, created_at_ms) values ('proj_b', 'b', 'B', 1, 0)`;
