/**
 * One accepted link of an agent's process: what it grants, what runs on it, until when its token
 * holds it. The registry joins the links of a process; this file knows one.
 */
import type { GrantedInstance } from '../../domain/scheduler/instancePools.ts';
import type { RouterPeer } from '../../protocol/link.ts';
import type { GrantMessage } from '../../protocol/messages/agentControl.ts';

/** One engine instance as a link grants it. */
export type LinkGrant = GrantMessage['instances'][number];

/** Requests of one link that hold slots of one instance. */
export interface RunningOn {
  count: number;
  /** When a byte of an answer came last, monotonic ms as of a sweep; `-Infinity`: none has. */
  heardAtMs: number;
}

export class AgentLink {
  readonly agentId: string;
  /** Random per start of the agent's process. */
  readonly nonce: string;
  readonly number: number;
  readonly peer: RouterPeer;
  readonly agentVersion: string;
  readonly address: string;
  /** Monotonic, in ms. */
  tokenExpiresAtMs: number;
  /** `draining`: the agent said GOAWAY; what runs goes on, nothing new comes. */
  phase: 'up' | 'draining' | 'closed' = 'up';
  /** The CONFIG that was sent last, as text. */
  configText = '';
  private grants: readonly LinkGrant[] = [];
  private readonly running = new Map<string, RunningOn>();

  constructor(options: {
    agentId: string;
    nonce: string;
    number: number;
    peer: RouterPeer;
    agentVersion: string;
    address: string;
    tokenExpiresAtMs: number;
  }) {
    this.agentId = options.agentId;
    this.nonce = options.nonce;
    this.number = options.number;
    this.peer = options.peer;
    this.agentVersion = options.agentVersion;
    this.address = options.address;
    this.tokenExpiresAtMs = options.tokenExpiresAtMs;
  }

  /** What it grants now: nothing once it drains. */
  get granted(): readonly LinkGrant[] {
    return this.phase === 'up' ? this.grants : [];
  }

  grant(instances: readonly LinkGrant[]): void {
    this.grants = instances;
  }

  /** Slots of an instance that this link could give now. */
  freeSlots(instance: string): number {
    const slots = this.granted.find((one) => one.instance === instance)?.slots ?? 0;
    return slots - (this.running.get(instance)?.count ?? 0);
  }

  /** Requests that hold a slot of this link. */
  get inFlight(): number {
    let sum = 0;
    for (const { count } of this.running.values()) sum += count;
    return sum;
  }

  /** A request is opened on the instance. */
  take(instance: string): RunningOn {
    const running = this.running.get(instance) ?? { count: 0, heardAtMs: -Infinity };
    running.count += 1;
    this.running.set(instance, running);
    return running;
  }

  /** Its slot is free again. */
  give(instance: string): void {
    const running = this.running.get(instance);
    if (running === undefined) return;
    running.count -= 1;
    if (running.count === 0) this.running.delete(instance);
  }
}

/**
 * What a process grants over all its links: slots of one instance are summed, and the whole is cut
 * to the agent's maximum (0 = the agent decides), because agents are untrusted peers.
 */
export function sumOfGrants(
  links: Iterable<AgentLink>,
  options: { maxConcurrentRequests: number },
): (LinkGrant & GrantedInstance)[] {
  const sum = new Map<string, LinkGrant>();
  for (const link of links) {
    for (const one of link.granted) {
      const known = sum.get(one.instance);
      sum.set(one.instance, { ...one, slots: one.slots + (known?.slots ?? 0) });
    }
  }
  let left = options.maxConcurrentRequests === 0 ? Infinity : options.maxConcurrentRequests;
  return [...sum.values()].map((one) => {
    const slots = Math.min(one.slots, left);
    left -= slots;
    return { ...one, slots };
  });
}
