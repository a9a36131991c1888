/** What the control routes show of the data plane: links and counters as they are now. */
import type { EndpointEntry, ModelEntry } from '../../domain/directory.ts';
import type { ModelState } from '../../protocol/messages/agentControl.ts';

/** An agent whose link is up. */
export interface AgentPresence {
  agentId: string;
  /** Epoch ms. */
  linkedSinceMs: number;
  rttMs: number | null;
  agentVersion: string;
  inFlight: number;
  instances: readonly {
    instance: string;
    modelId: string;
    slots: number;
    inFlight: number;
    engine: string;
  }[];
  models: readonly ModelState[];
}

export interface Load {
  running: number;
  waiting: number;
}

export interface RouterStats extends Load {
  byEndpoint: ReadonlyMap<string, Load>;
  journal: 'ok' | 'failing';
}

export interface LiveView {
  agents(): readonly AgentPresence[];
  /** Agents that could serve an endpoint now. */
  agentsReady(endpointId: string): number;
  stats(): RouterStats;
  readonly directory: {
    endpointsOf(projectId: string): readonly EndpointEntry[];
    model(id: string): ModelEntry | undefined;
  };
}
