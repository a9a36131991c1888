/** An agent on the wire: what is stored of it, and what its link says now. */
import type { AgentAnswer, AgentModelAnswer } from '../../api/control/agents.ts';
import { factsSchema, type AgentFacts } from '../../api/enrollment.ts';
import type { AgentView } from '../../control/agents/agentView.ts';
import { derivedAgentState } from '../../domain/agents/agentState.ts';
import type { AgentPresence } from '../../router/links/agentPresence.ts';
import { isoTime, isoTimeOrNull } from '../control/isoTime.ts';
import type { LiveView } from '../live/liveView.ts';

export interface AgentAnswers {
  one: (view: AgentView) => AgentAnswer;
  all: (views: readonly AgentView[]) => AgentAnswer[];
}

export function createAgentAnswers(options: {
  router: Pick<LiveView, 'agent'>;
  /** Name of a model by its id; undefined when it is gone. */
  modelName: (modelId: string) => string | undefined;
}): AgentAnswers {
  const { router, modelName } = options;
  const one = (view: AgentView): AgentAnswer =>
    agentAnswer(view, { presence: router.agent(view.id), modelName });
  return { one, all: (views) => views.map(one) };
}

interface Live {
  presence: AgentPresence | undefined;
  modelName: (modelId: string) => string | undefined;
}

function agentAnswer(view: AgentView, live: Live): AgentAnswer {
  const { presence } = live;
  const facts = factsOf(view.facts);
  return {
    id: view.id,
    worker_id: view.workerId,
    name: view.name,
    description: view.description,
    ownership: view.ownership,
    region: view.region,
    ...stateOf(view, presence),
    suspended_reason: view.suspendedReason,
    stop_mode: view.state === 'enrolled' ? null : view.stopMode,
    last_seen_at: isoTimeOrNull(view.lastSeenAtMs),
    created_at: isoTime(view.createdAtMs),
    supported_tiers: view.supportedTiers === null ? null : [...view.supportedTiers],
    effective_tiers: [...view.effectiveTiers],
    max_concurrent_requests: view.maxConcurrentRequests,
    bound_endpoint_ids: view.boundEndpointIds === null ? null : [...view.boundEndpointIds],
    storage_limit_enabled: view.storageLimitBytes !== null,
    storage_limit_bytes: view.storageLimitBytes,
    storage: storageOf(view, live),
    facts,
    agent_version: presence?.agentVersion ?? facts?.agentVersion ?? null,
    rtt_ms: presence?.rttMs ?? null,
    in_flight: presence?.inFlight ?? null,
    slots: presence?.slots ?? null,
    models: presence === undefined ? [] : modelsOf(presence, live.modelName),
    penalty: penaltyOf(presence),
    version: view.version,
  };
}

/** The present state, and since when, as far as that is known. */
function stateOf(
  view: AgentView,
  presence: AgentPresence | undefined,
): Pick<AgentAnswer, 'state' | 'state_since'> {
  const linked = presence !== undefined;
  const everLinked = linked || view.firstLinkedAtMs !== null;
  const state = derivedAgentState({ stored: view.state, linked, everLinked });
  switch (state) {
    case 'active':
      return { state, state_since: isoTimeOrNull(presence?.linkedSinceMs ?? null) };
    case 'disconnected':
      // Last seen is written once a minute: near enough, and all that is known.
      return { state, state_since: isoTimeOrNull(view.lastSeenAtMs) };
    case 'pending':
    case 'suspended':
    case 'dead':
      return { state, state_since: isoTime(view.stateSinceMs) };
  }
}

function penaltyOf(presence: AgentPresence | undefined): AgentAnswer['penalty'] {
  const penalty = presence?.penalty ?? null;
  return penalty && { state: penalty.standing, ends_in_ms: Math.round(penalty.leftMs) };
}

function storageOf(view: AgentView, { presence, modelName }: Live): AgentAnswer['storage'] {
  const storage = presence?.storage ?? null;
  if (storage === null) return null;
  return {
    limit_bytes: storage.limitBytes,
    used_bytes: storage.usedBytes,
    evicted_bytes: storage.evictedBytes,
    over_bytes: storage.overBytes,
    in_use: storage.inUse.map(({ modelId, bytes }) => ({
      model_id: modelId,
      model: modelId === null ? null : (modelName(modelId) ?? null),
      bytes,
    })),
    up_to_date: storage.configuredLimitBytes === view.storageLimitBytes,
  };
}

function modelsOf(
  presence: AgentPresence,
  modelName: (modelId: string) => string | undefined,
): AgentModelAnswer[] {
  const engines = new Map(presence.instances.map((one) => [one.modelId, one]));
  return presence.models.map((model) => ({
    model_id: model.modelId,
    name: modelName(model.modelId) ?? model.modelId,
    state: model.state,
    received_bytes: model.receivedBytes ?? null,
    total_bytes: model.totalBytes ?? null,
    bytes_per_second: model.bytesPerSecond ?? null,
    error: model.error ?? null,
    engine: engines.get(model.modelId)?.engine ?? null,
    abilities: [...(engines.get(model.modelId)?.abilities ?? [])],
  }));
}

/** Facts were checked when they came; an older shape is shown as unknown, not as an error. */
function factsOf(text: string): AgentFacts | null {
  const parsed = factsSchema.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : null;
}
