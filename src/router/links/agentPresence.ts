/** An agent with a link up, as the control routes and the dashboard show it. */
import type { PenaltyNow } from '../../domain/failures/penaltyBox.ts';
import type { Scheduler } from '../../domain/scheduler/scheduler.ts';
import type { ModelState, StorageReport } from '../../protocol/messages/agentControl.ts';
import type { AgentProcess } from './agentRegistry.ts';

export interface AgentPresence {
  agentId: string;
  /** Epoch ms. */
  linkedSinceMs: number;
  /** Of its quickest link; null until the first PONG. */
  rttMs: number | null;
  /** Null: it has not failed lately. */
  penalty: PenaltyNow | null;
  agentVersion: string;
  /** Number of its links. */
  links: number;
  inFlight: number;
  slots: number;
  instances: AgentInstance[];
  models: readonly ModelState[];
  /** The model cache under its limit; null: nothing was said of one. */
  storage: StorageReport | null;
}

export interface AgentInstance {
  instance: string;
  modelId: string;
  slots: number;
  inFlight: number;
  engine: string;
  engineVersion: string | null;
  contextLength: number | null;
  abilities: readonly string[];
}

/** `nowMs`: monotonic. */
export function agentPresence(
  process: AgentProcess,
  { scheduler, nowMs }: { scheduler: Scheduler; nowMs: number },
): AgentPresence {
  const { agentId, nonce, linkedSinceMs, models, storage = null } = process;
  const links = [...process.links.values()];
  const rtts = links.flatMap((link) => link.peer.rttMs() ?? []);
  const instances = process.grants.map((grant) => {
    const { instance, modelId, slots, engine, abilities } = grant;
    const inFlight = scheduler.inFlight({ agentId, nonce, instance });
    const { engineVersion = null, contextLength = null } = grant;
    return { instance, modelId, slots, inFlight, engine, engineVersion, contextLength, abilities };
  });
  const { penalties, agents } = scheduler.fleet;
  const penalty = penalties.of(agents.get(agentId), nowMs);
  return {
    agentId,
    linkedSinceMs,
    penalty,
    rttMs: rtts.length === 0 ? null : Math.min(...rtts),
    agentVersion: links[0]?.agentVersion ?? '',
    links: links.length,
    ...scheduler.agentLoad(agentId),
    instances,
    models,
    storage,
  };
}
