/**
 * The product's own scheduler as a router of the simulator: the same object that serves, driven by
 * the events that a router would give it. A tenant is a project, a machine a shared agent, and what
 * a trace knows of prompts comes as the blocks that a router would have hashed.
 */
import type { AgentEntry, EndpointEntry, ModelEntry } from '../domain/directory.ts';
import type { RoutedRequest } from '../domain/agents/matching.ts';
import { Scheduler } from '../domain/scheduler/scheduler.ts';
import type {
  SchedulerCommand,
  SchedulerEvent,
  UntimedEvent,
} from '../domain/scheduler/schedulerEvents.ts';
import { tierSlugs, tierTable } from '../domain/tiers/tiers.ts';
import type { Random } from '../lib/random.ts';
import type {
  ArrivedRequest,
  InstanceFacts,
  RouterCommand,
  RouterEvent,
  SimulatedRouter,
  Usage,
} from './routerPort.ts';

/** Bytes for each token of a prompt: what a router sees of it is its length in bytes. */
const bytesPerToken = 4;
const tier = 'gpu_nvidia_shared';
const modelId = 'model';
const engine = 'engine';

export class SchedulerRouter implements SimulatedRouter {
  private readonly scheduler: Scheduler;
  private readonly queueTimeoutMs: number;
  private readonly inFlightCap: number;
  /** The claim of each request that was dispatched and has no end. */
  private readonly claims = new Map<number, number>();
  private joins = 0;
  private readonly nonces = new Map<number, string>();
  private commands: RouterCommand[] = [];
  private nowMs = 0;

  constructor(options: { random: Random; queueTimeoutMs: number; inFlightCap: number }) {
    const { random, queueTimeoutMs, inFlightCap } = options;
    const unlimited = { tokensPerMinute: null, requestsPerMinute: null, concurrentPerProject: 1e9 };
    const tiers = tierTable(Object.fromEntries(tierSlugs.map((slug) => [slug, unlimited])));
    const bounds = { maxRequests: Infinity, maxBytes: Infinity, maxProjectBytes: Infinity };
    const waiting = { ...bounds, longestMs: Infinity };
    this.scheduler = new Scheduler({ random, config: { tiers, waiting } });
    this.queueTimeoutMs = queueTimeoutMs;
    this.inFlightCap = inFlightCap;
  }

  handle(event: RouterEvent): readonly RouterCommand[] {
    this.commands = [];
    this.nowMs = event.atMs;
    this.apply(event);
    return this.commands;
  }

  private apply(event: RouterEvent): void {
    switch (event.type) {
      case 'join':
        return this.join(event.instance);
      case 'leave':
        return this.leave(event.instance);
      case 'arrive':
        return this.tell({ type: 'arrive', request: this.routed(event.request) });
      case 'first_byte':
        return this.ofClaim(event.request, (claim) => this.tell({ type: 'first_byte', claim }));
      case 'end':
        return this.end(event.request, event.usage);
      case 'failed':
        return this.ofClaim(event.request, (claim) => {
          this.claims.delete(event.request);
          this.tell({ type: 'failed', claim, slotFree: true, blameless: true });
        });
      case 'hang_up':
        return this.hangUp(event.request);
      case 'tick':
        return this.tell({ type: 'tick' });
      case 'heartbeat':
        return undefined;
    }
  }

  private join({ id, slots, kvTokens }: InstanceFacts): void {
    const agentId = `${id}`;
    this.joins += 1;
    const nonce = `${this.joins}`;
    this.nonces.set(id, nonce);
    this.tell({ type: 'agent', entry: sharedAgent(agentId) });
    this.tell({ type: 'join', agentId, nonce });
    const granted = {
      instance: engine,
      modelId,
      slots: Math.min(slots, this.inFlightCap),
      holdsTokens: kvTokens,
    };
    this.tell({ type: 'grant', agentId, nonce, instances: [{ ...granted, abilities: [] }] });
  }

  private leave(id: number): void {
    this.tell({ type: 'leave', agentId: `${id}`, nonce: this.nonces.get(id) ?? '' });
  }

  private end(id: number, { inputTokens, cachedTokens, outputTokens }: Usage): void {
    const usage = { input: inputTokens, cached: cachedTokens, output: outputTokens };
    this.ofClaim(id, (claim) => {
      this.claims.delete(id);
      this.tell({ type: 'end', claim, slotFree: true, usage });
    });
  }

  private hangUp(id: number): void {
    const claim = this.claims.get(id);
    this.claims.delete(id);
    if (claim !== undefined) return this.tell({ type: 'end', claim, slotFree: true });
    this.tell({ type: 'hang_up', requestId: `${id}`, outcome: 'client_closed' });
  }

  private ofClaim(id: number, then: (claim: number) => void): void {
    const claim = this.claims.get(id);
    if (claim !== undefined) then(claim);
  }

  private tell(event: UntimedEvent): void {
    const commands = this.scheduler.handle({ ...event, atMs: this.nowMs } as SchedulerEvent);
    for (const command of commands) this.follow(command);
  }

  private follow(command: SchedulerCommand): void {
    switch (command.type) {
      case 'dispatch': {
        const { requestId, claim, agentId, predicted } = command;
        const request = Number(requestId);
        this.claims.set(request, claim);
        const instance = Number(agentId);
        this.commands.push({
          type: 'dispatch',
          request,
          instance,
          predicted: predicted ?? undefined,
        });
        return;
      }
      case 'reject':
        this.commands.push({ type: 'reject', request: Number(command.requestId) });
        return;
      case 'set_timer':
        this.commands.push(command);
    }
  }

  private routed({ id, tenant, inputTokens, blocks, blockTokens }: ArrivedRequest): RoutedRequest {
    return {
      id: `${id}`,
      project: { id: tenant, slug: tenant, name: tenant, sharedAccess: true },
      endpoint: endpointOf(tenant, this.queueTimeoutMs),
      model,
      region: null,
      abilities: [],
      bodyBytes: inputTokens * bytesPerToken,
      prompt: { blocks, blockBytes: blockTokens * bytesPerToken },
      maxTokens: null,
      key: null,
    };
  }
}

const model: ModelEntry = {
  id: modelId,
  projectId: null,
  name: modelId,
  source: modelId,
  format: 'safetensors',
  task: 'generate',
  sizeBytes: null,
  sha256: null,
  contextLength: null,
  approvedForShared: false,
};

function endpointOf(tenant: string, queueTimeoutMs: number): EndpointEntry {
  return {
    id: tenant,
    projectId: tenant,
    slug: tenant,
    modelId,
    tier,
    active: true,
    fallback: { enabled: true, afterMs: 0, tier: null },
    region: null,
    exclusive: false,
    minimumIsolation: null,
    resume: false,
    queueTimeoutMs,
    createdAtMs: 0,
  };
}

function sharedAgent(id: string): AgentEntry {
  return {
    id,
    workerId: id,
    name: id,
    projectId: null,
    region: 'local',
    state: 'enrolled',
    stopMode: 'cut',
    generation: 1,
    publicKey: '',
    supportedTiers: [tier],
    effectiveTiers: [tier, 'free'],
    maxConcurrentRequests: 0,
    boundEndpointIds: null,
    storageLimitBytes: null,
    firstLinkedAtMs: null,
    lastSeenAtMs: null,
  };
}
