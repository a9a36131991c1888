/** Who is there: two projects, their endpoints, keys and machines, and what their router allows. */
import type { AgentEntry, ApiKeyEntry, EndpointEntry } from '../../domain/directory.ts';
import { tierTable } from '../../domain/tiers/tiers.ts';
import type { RouterConfig } from '../../router/router.ts';
import { apiKeyEntry, endpointEntry } from '../router/directoryEntries.ts';
import { bounds } from './invariants.ts';

const short = { requestTimeoutMs: 5000, idleStreamTimeoutMs: 4000, concurrentPerProject: 4 };

export const routerConfig: Partial<RouterConfig> = {
  tiers: tierTable({
    free: short,
    cpu_intel_optimized: { ...short, concurrentPerProject: 3 },
    cpu_amd_optimized: short,
    self_hosted: short,
  }),
  waiting: { maxRequests: bounds.waitingRequests },
};

/** How long engines need for a model, in ms. The slow one is not there before requests give up. */
export const loadTimes: Readonly<Record<string, number>> = { model_a: 300, model_slow: 25_000 };

/** By slug. */
function makeEndpoints(): Record<string, EndpointEntry> {
  const of = (slug: string, over: Partial<EndpointEntry>): EndpointEntry =>
    endpointEntry({ id: `ep_${slug}`, slug, queueTimeoutMs: 4000, ...over });
  const off = { enabled: false, afterMs: 0, tier: null };
  return {
    a: of('a', {}),
    b: of('b', {
      projectId: 'proj_b',
      queueTimeoutMs: 6000,
      fallback: { enabled: true, afterMs: 1000, tier: 'free' },
    }),
    // Only own agents.
    closed: of('closed', { projectId: 'proj_b', tier: 'self_hosted', fallback: off }),
    // Only agents that are alone with their project.
    apart: of('apart', { minimumIsolation: 'process' }),
    // Only shared ones: no own agent carries the tier.
    shared: of('shared', { projectId: 'proj_b', tier: 'cpu_intel_optimized' }),
    slow: of('slow', { modelId: 'model_slow', queueTimeoutMs: 2500 }),
    vm: of('vm', { minimumIsolation: 'microvm' }),
  };
}

/** By `<name>_<project>`: each project has one without limits and a tight one. */
function makeKeys(): Record<string, ApiKeyEntry> {
  const quota = { requestsPerMinute: 3, tokensPerMinute: null, tokensPerDay: null };
  const of = (name: string, project: string, over: Partial<ApiKeyEntry>): ApiKeyEntry => {
    const id = `key_${name}_${project}`;
    return apiKeyEntry({ id, sha256: id, projectId: `proj_${project}`, ...over });
  };
  return {
    a_a: of('a', 'a', {}),
    b_b: of('b', 'b', {}),
    tight_a: of('tight', 'a', { quota }),
    tight_b: of('tight', 'b', { quota }),
  };
}

export const endpoints: Readonly<Record<string, EndpointEntry>> = makeEndpoints();
export const keys: Readonly<Record<string, ApiKeyEntry>> = makeKeys();

/** The machines, by what the directory says of them. */
export const owners: readonly Partial<AgentEntry>[] = [
  { projectId: 'proj_a', effectiveTiers: ['cpu_amd_optimized', 'self_hosted'] },
  { projectId: 'proj_a', effectiveTiers: ['cpu_amd_optimized', 'self_hosted'] },
  { projectId: 'proj_b', effectiveTiers: ['cpu_amd_optimized', 'self_hosted'] },
  { projectId: null, effectiveTiers: ['cpu_amd_optimized', 'cpu_intel_optimized', 'free'] },
  { projectId: null, effectiveTiers: ['cpu_amd_optimized', 'cpu_intel_optimized', 'free'] },
];
