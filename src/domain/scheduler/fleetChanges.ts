/**
 * What events about agents change: who is there, what they grant, how far they are with their
 * models. Gives whom to offer work to and who may look further than before; the scheduler claims.
 */
import type { AgentIndex } from '../agents/agentIndex.ts';
import type { Regions } from '../agents/regions.ts';
import type { PenaltyBox } from '../failures/penaltyBox.ts';
import type { WaitingQueue } from '../waiting/waitingQueue.ts';
import type { InstancePools } from './instancePools.ts';
import type { FleetEvent } from './schedulerEvents.ts';
import type { EngineInstance, KnownAgent, WaitingRequest } from './schedulerState.ts';

export interface FleetParts {
  agents: AgentIndex;
  pools: InstancePools;
  queue: WaitingQueue;
  penalties: PenaltyBox<KnownAgent>;
  regions: Regions;
}

export interface FleetChange {
  /** May have become open. */
  instances: Iterable<EngineInstance>;
  /** Shared agents were opened to them. */
  opened: readonly WaitingRequest[];
}

const nothing: FleetChange = { instances: [], opened: [] };

export class FleetChanges {
  private readonly parts: FleetParts;
  private lives = 0;
  private nowMs = 0;

  constructor(parts: FleetParts) {
    this.parts = parts;
  }

  apply(event: FleetEvent, nowMs: number): FleetChange {
    this.nowMs = nowMs;
    switch (event.type) {
      case 'agent':
        return this.put(event.entry);
      case 'agent_gone':
        return this.drop(event.agentId);
      case 'join':
        return this.join(event);
      case 'leave':
        return this.leave(event);
      case 'grant': {
        const agent = this.linkedAgent(event);
        if (agent === undefined) return nothing;
        const instances = this.parts.pools.grant(agent, { ...event, nowMs });
        return { instances, opened: [] };
      }
      case 'models':
        return this.noteModels(event);
      case 'rtt':
        return this.noteRtt(event);
    }
  }

  /** An agent that the directory has forgotten is kept while a claim holds one of its slots. */
  forgetIfIdle(agent: KnownAgent, nowMs: number): void {
    if (agent.gone && agent.instances.size === 0) this.parts.agents.remove(agent, nowMs);
  }

  private put(entry: KnownAgent['entry']): FleetChange {
    const { agents, pools, queue, regions } = this.parts;
    const before = agents.get(entry.id)?.entry;
    if (before !== undefined) regions.left(before);
    const agent = agents.put(entry, this.nowMs);
    if (agent.rttMs !== null) regions.note(entry, agent.rttMs);
    pools.rehome(agent, this.nowMs);
    const bound = [...(before?.boundEndpointIds ?? []), ...(entry.boundEndpointIds ?? [])];
    const { projectId } = entry;
    const opened = queue.withoutOwnCarrier({ projectId, endpointIds: new Set(bound) });
    for (const waiting of opened) queue.openShared(waiting);
    return { instances: agent.instances.values(), opened };
  }

  private drop(agentId: string): FleetChange {
    const { agents } = this.parts;
    const agent = agents.get(agentId);
    if (agent === undefined) return nothing;
    const change = this.put({ ...agent.entry, state: 'dead' });
    this.unlink(agent, '');
    agent.gone = true;
    this.forgetIfIdle(agent, this.nowMs);
    return change;
  }

  private join({ agentId, nonce }: { agentId: string; nonce: string }): FleetChange {
    const { agents, pools, penalties } = this.parts;
    const agent = agents.get(agentId);
    if (agent === undefined || agent.gone || agent.nonce === nonce) return nothing;
    if (agent.nonce !== null) noteLoss(agent, agent.nonce);
    agents.forgetModels(agent);
    penalties.clear(agent);
    this.lives += 1;
    agent.life = this.lives;
    if (agent.lostNonce !== null && agent.lostNonce !== nonce) {
      // F5: it is another process: the one before was lost with all that it had to do. Once that
      // is a restart.
      agent.crashes += 1;
      if (agent.crashes > 1) penalties.failed(agent, this.nowMs, agent.crashes - 2);
    }
    agent.lostNonce = null;
    pools.grant(agent, { nonce, instances: [], nowMs: this.nowMs });
    agents.setNonce(agent, { nonce, nowMs: this.nowMs });
    return nothing;
  }

  private leave(event: { agentId: string; nonce: string }): FleetChange {
    const agent = this.linkedAgent(event);
    if (agent === undefined) return nothing;
    noteLoss(agent, event.nonce);
    this.parts.agents.forgetModels(agent);
    this.unlink(agent, event.nonce);
    return nothing;
  }

  private unlink(agent: KnownAgent, nonce: string): void {
    const { agents, pools, penalties, regions } = this.parts;
    const { nowMs } = this;
    penalties.clear(agent);
    agent.rttMs = null;
    regions.left(agent.entry);
    pools.grant(agent, { nonce, instances: [], nowMs });
    agents.setNonce(agent, { nonce: null, nowMs });
  }

  private noteModels(event: Extract<FleetEvent, { type: 'models' }>): FleetChange {
    const agent = this.linkedAgent(event);
    if (agent === undefined) return nothing;
    agent.models = new Map(event.models.map((model) => [model.modelId, model]));
    return nothing;
  }

  private noteRtt(event: Extract<FleetEvent, { type: 'rtt' }>): FleetChange {
    const agent = this.linkedAgent(event);
    if (agent === undefined) return nothing;
    agent.rttMs = event.rttMs;
    this.parts.regions.note(agent.entry, event.rttMs);
    return nothing;
  }

  /** The agent, if this process of it is the one that is linked. */
  private linkedAgent(event: { agentId: string; nonce: string }): KnownAgent | undefined {
    const agent = this.parts.agents.get(event.agentId);
    return agent?.nonce === event.nonce ? agent : undefined;
  }
}

/** Its process has gone, or only its link: which of them, the next one tells. */
function noteLoss(agent: KnownAgent, nonce: string): void {
  const isBusy = [...agent.instances.values()].some(({ inFlight }) => inFlight > 0);
  if (isBusy) agent.lostNonce = nonce;
}
