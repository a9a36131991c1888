/**
 * Directory entries for tests: everything has a sensible value, a test names only what it is about.
 */
import type {
  AgentEntry,
  ApiKeyEntry,
  EndpointEntry,
  ModelEntry,
  ProjectEntry,
} from '../../domain/directory.ts';
import type { RoutedRequest } from '../../domain/agents/matching.ts';

export function projectEntry(over: Partial<ProjectEntry> = {}): ProjectEntry {
  return { id: 'proj_a', slug: 'a', name: 'A', sharedAccess: true, ...over };
}

export function endpointEntry(over: Partial<EndpointEntry> = {}): EndpointEntry {
  return {
    id: 'ep_a',
    projectId: 'proj_a',
    slug: 'main',
    modelId: 'model_a',
    tier: 'cpu_amd_optimized',
    active: true,
    fallback: { enabled: true, afterMs: 0, tier: null },
    region: null,
    exclusive: false,
    minimumIsolation: null,
    resume: false,
    queueTimeoutMs: 30_000,
    createdAtMs: 0,
    ...over,
  };
}

export function modelEntry(over: Partial<ModelEntry> = {}): ModelEntry {
  return {
    id: 'model_a',
    projectId: null,
    name: 'small',
    source: 'hf:org/small',
    format: 'gguf',
    task: 'generate',
    sizeBytes: null,
    sha256: null,
    contextLength: null,
    approvedForShared: false,
    ...over,
  };
}

export function agentEntry(over: Partial<AgentEntry> = {}): AgentEntry {
  const isPrivate = over.projectId !== undefined && over.projectId !== null;
  return {
    id: 'agent-1',
    workerId: 'wrk_1',
    name: 'desk',
    projectId: null,
    region: 'local',
    state: 'enrolled',
    stopMode: 'cut',
    generation: 1,
    publicKey: '',
    supportedTiers: null,
    effectiveTiers: ['cpu_amd_optimized', isPrivate ? 'self_hosted' : 'free'],
    maxConcurrentRequests: 0,
    boundEndpointIds: null,
    storageLimitBytes: null,
    firstLinkedAtMs: null,
    lastSeenAtMs: null,
    ...over,
  };
}

export function apiKeyEntry(over: Partial<ApiKeyEntry> = {}): ApiKeyEntry {
  return {
    id: 'key_a',
    projectId: 'proj_a',
    sha256: 'a'.repeat(64),
    previous: null,
    scopes: ['inference'],
    endpointId: null,
    expiresAtMs: null,
    ipAllowList: [],
    quota: null,
    revoked: false,
    ...over,
  };
}

export function routedRequest(over: Partial<RoutedRequest> = {}): RoutedRequest {
  return {
    id: 'req_1',
    project: projectEntry(),
    endpoint: endpointEntry(),
    model: modelEntry(),
    region: null,
    abilities: [],
    bodyBytes: 100,
    maxTokens: null,
    key: null,
    ...over,
  };
}
