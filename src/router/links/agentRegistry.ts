/**
 * Who is linked: the links of each agent's running process, what they grant together, and what the
 * scheduler, the control plane and the dashboard are told of it.
 *
 * Invariants
 * P1 An agent has at most one linked process: a new one fences every link of the old.
 * P2 A process has at most one link of each number: a new one replaces the old.
 * P3 The scheduler hears of a link's death before the streams of that link do, so that nothing is
 *    tried again on it.
 * P4 A link is up only while the directory says `enrolled` and its token is at most
 *    `tokenGraceMs` late (R2). One of an agent that was stopped softly stays until what runs on it
 *    has ended, `stopDrainMs` at most: it gets no work, no CONFIG and needs no token.
 */

import type { AgentEntry } from '../../domain/directory.ts';
import type { UntimedEvent } from '../../domain/scheduler/schedulerEvents.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { Histogram } from '../../lib/metrics/histogram.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { LinkLimits } from '../../protocol/limits.ts';
import type { LinkCloseReason, Transport } from '../../protocol/link.ts';
import type {
  HeartbeatMessage,
  LogMessage,
  ModelState,
  StorageReport,
} from '../../protocol/messages/agentControl.ts';
import type { EndMessage } from '../../protocol/messages/end.ts';
import type { RouterControl } from '../../protocol/messages/routerControl.ts';
import type { Directory, DirectoryEvent } from '../directory.ts';
import {
  ackDelayMs,
  configDelayMs,
  configEveryMs,
  linkSweepMs,
  maxAcked,
  maxStrangers,
  stopDrainMs,
  sweepsPerRttSample,
  tokenGraceMs,
} from '../limits.ts';
import type { HealthBook } from '../health/healthBook.ts';
import type { LogBook } from '../logs/logBook.ts';
import { sumOfGrants, type AgentLink, type LinkGrant } from './agentLink.ts';
import { DesiredModels } from './desiredModels.ts';
import { drains, judgeState, type Turned } from './handshake.ts';
import { LinkSession, type LinkOwner } from './linkSession.ts';
import type { PresenceReporter } from './presenceReporter.ts';

/** The running process of an agent, with at least one link. */
export interface AgentProcess {
  agentId: string;
  nonce: string;
  links: Map<number, AgentLink>;
  /** Over all links. */
  grants: readonly LinkGrant[];
  models: readonly ModelState[];
  /** Undefined: it has said nothing of a model cache. */
  storage: StorageReport | undefined;
  /** Epoch ms. */
  linkedSinceMs: number;
  /** What the scheduler was told of the round trip; undefined: nothing yet. */
  toldRttMs: number | undefined;
  /** Monotonic: until then what runs on it may end. Undefined: it was not stopped. */
  drainsUntilMs: number | undefined;
}

interface RegistryOptions {
  directory: Directory;
  presence: PresenceReporter;
  health: HealthBook;
  logs: LogBook;
  /** Takes events for the scheduler. */
  tell: (event: UntimedEvent) => void;
  clock: Clock;
  random: Random;
  log: Logger;
  routerId: string;
  linkLimits?: Partial<LinkLimits>;
}

/** The scheduler hears of round trips that differ by so many ms, or by this part, from before. */
const leastRttChangeMs = 1;
const rttChange = 0.1;
/** Seconds. */
const rttBounds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

export class AgentRegistry implements LinkOwner {
  readonly desired: DesiredModels;
  /** Round-trip times in seconds, sampled. */
  readonly linkRtt = new Histogram(rttBounds);
  private readonly options: RegistryOptions;
  private readonly processes = new Map<string, AgentProcess>();
  private readonly listeners = new Set<(agentId: string) => void>();
  private readonly sessions = new Set<LinkSession>();
  private readonly acks = new Map<AgentLink, string[]>();
  private strangers = 0;
  private sweepTimer: Timer | undefined;
  private configTimer: Timer | undefined;
  private configuredAtMs = -Infinity;
  private ackTimer: Timer | undefined;
  private sweeps = 0;
  private stopped = false;

  constructor(options: RegistryOptions) {
    this.options = options;
    this.desired = new DesiredModels(options.directory);
  }

  start(): void {
    this.armSweep();
  }

  /** Closes every link. */
  stop(reason: LinkCloseReason): void {
    this.stopped = true;
    this.sweepTimer?.cancel();
    this.configTimer?.cancel();
    this.ackTimer?.cancel();
    this.sendAcks();
    for (const process of this.processes.values()) {
      for (const link of process.links.values()) {
        link.peer.send({ type: 'goaway', reason: 'shutting_down' });
      }
    }
    for (const session of this.sessions) session.close(reason);
  }

  /** Takes over a transport that has just opened. A crowd of strangers is kept out. */
  accept(transport: Transport, remote: { address: string }): void {
    if (this.stopped || this.strangers >= maxStrangers) return transport.terminate();
    this.strangers += 1;
    const { address } = remote;
    const session: LinkSession = new LinkSession(transport, {
      ...this.options,
      address,
      owner: this.ownerOf(() => session),
    });
    this.sessions.add(session);
    session.greet();
  }

  /** Calls `listener` with the id of an agent whose presence, grants or models have changed. */
  onChange(listener: (agentId: string) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Requests that hold a slot, over the links that are up. */
  get inFlight(): number {
    const links = [...this.processes.values()].flatMap(({ links }) => [...links.values()]);
    return links.reduce((sum, link) => sum + link.inFlight, 0);
  }

  linked(): Iterable<AgentProcess> {
    return this.processes.values();
  }

  process(agentId: string): AgentProcess | undefined {
    return this.processes.get(agentId);
  }

  /** The link of a process with the most room for an instance. Undefined when all have gone. */
  linkFor(where: { agentId: string; nonce: string; instance: string }): AgentLink | undefined {
    const process = this.processes.get(where.agentId);
    if (process === undefined || process.nonce !== where.nonce) return undefined;
    let best: AgentLink | undefined;
    let mostFree = -Infinity;
    for (const link of process.links.values()) {
      const free = link.phase === 'up' ? link.freeSlots(where.instance) : -Infinity;
      if (free > mostFree) {
        best = link;
        mostFree = free;
      }
    }
    return best;
  }

  /** END trailers are safe. Those of a while are acknowledged together: nobody waits for it. */
  acknowledge(link: AgentLink, requestId: string): void {
    if (link.phase === 'closed') return;
    const waiting = this.acks.get(link);
    if (waiting !== undefined) {
      waiting.push(requestId);
      if (waiting.length >= maxAcked) this.sendAck(link);
      return;
    }
    this.acks.set(link, [requestId]);
    this.ackTimer ??= this.options.clock.setTimer(ackDelayMs, () => this.sendAcks());
  }

  /** The directory has changed. */
  onDirectory(event: DirectoryEvent): void {
    if (event.kind === 'api_key' || event.kind === 'budget') return;
    if (event.kind === 'region_map') return;
    this.options.logs.onDirectory(event);
    if (event.kind === 'agent') this.onAgentEntry(event.id, event.entry);
    this.desired.invalidate();
    if (this.configTimer !== undefined || this.stopped) return;
    const { clock } = this.options;
    const pauseMs = this.configuredAtMs + configEveryMs - clock.monotonic();
    this.configTimer = clock.setTimer(Math.max(configDelayMs, pauseMs), () => {
      this.configTimer = undefined;
      this.configuredAtMs = clock.monotonic();
      for (const process of this.processes.values()) this.sendConfig(process, 'when_changed');
    });
  }

  // From a session

  onLinked(link: AgentLink): void {
    const { agentId, nonce } = link;
    const old = this.processes.get(agentId);
    if (old === undefined || old.nonce !== nonce) this.begin(link, old);
    else {
      const replaced = old.links.get(link.number);
      old.links.set(link.number, link); // P2
      replaced?.peer.close('replaced');
    }
    const process = this.processes.get(agentId);
    if (process !== undefined) this.sendConfig(process, link);
    this.changed(agentId);
  }

  onGrant(link: AgentLink): void {
    const process = this.processOf(link);
    if (process !== undefined) this.tellGrants(process);
  }

  onHeartbeat(link: AgentLink, message: HeartbeatMessage): void {
    const process = this.processOf(link);
    if (process === undefined) return;
    const { agentId, nonce } = link;
    const { models, storage } = message;
    this.options.health.take(agentId, message);
    const sameModels = isSame(process.models, models);
    const sameStorage = isSame(process.storage, storage);
    process.models = models;
    process.storage = storage;
    if (!sameModels) this.options.tell({ type: 'models', agentId, nonce, models });
    if (!sameModels || !sameStorage) this.changed(agentId);
  }

  onLog(link: AgentLink, message: LogMessage): void {
    this.options.logs.take(link.agentId, message);
  }

  /** Trailers of an earlier link: their requests ended with that link, at the latest. */
  onTrailers(link: AgentLink, ends: readonly EndMessage[]): void {
    for (const end of ends) this.acknowledge(link, end.requestId);
  }

  onClosed(link: AgentLink | undefined, why: { reason: LinkCloseReason; detail: string }): void {
    if (link === undefined) return;
    this.acks.delete(link);
    const process = this.processes.get(link.agentId);
    if (process?.links.get(link.number) !== link) return;
    process.links.delete(link.number);
    if (process.links.size > 0) this.tellGrants(process);
    else this.end(process, why);
  }

  // Processes

  private processOf(link: AgentLink): AgentProcess | undefined {
    const process = this.processes.get(link.agentId);
    return process?.links.get(link.number) === link ? process : undefined;
  }

  private begin(link: AgentLink, old: AgentProcess | undefined): void {
    const { agentId, nonce, address } = link;
    const linkedSinceMs = this.options.clock.now();
    const links = new Map([[link.number, link]]);
    const none = { storage: undefined, toldRttMs: undefined, drainsUntilMs: undefined };
    const nothing = { grants: [], models: [], ...none };
    this.processes.set(agentId, { agentId, nonce, links, linkedSinceMs, ...nothing });
    this.options.tell({ type: 'join', agentId, nonce });
    this.options.log.info({ agentId, address }, 'agent linked');
    this.report({ agentId, kind: 'connected', detail: `from ${address}` });
    if (old === undefined) return;
    // P1: whoever came last is the agent. Its owner sees that there are two.
    const detail = 'a newer process with the same identity has linked';
    this.report({ agentId, kind: 'fenced', detail });
    for (const fenced of old.links.values()) fenced.peer.close('fenced', detail);
  }

  private end(process: AgentProcess, why: { reason: LinkCloseReason; detail: string }): void {
    const { agentId, nonce } = process;
    this.processes.delete(agentId);
    this.options.tell({ type: 'leave', agentId, nonce });
    this.options.presence.forget(agentId);
    this.options.health.forget(agentId);
    this.report({ agentId, kind: 'disconnected', detail: `${why.reason} ${why.detail}`.trim() });
    this.changed(agentId);
  }

  private tellGrants(process: AgentProcess): void {
    const { agentId, nonce } = process;
    const entry = this.options.directory.agent(agentId);
    const maxConcurrentRequests = entry?.maxConcurrentRequests ?? 0;
    const instances = sumOfGrants(process.links.values(), { maxConcurrentRequests });
    process.grants = instances;
    this.options.tell({ type: 'grant', agentId, nonce, instances });
    this.changed(agentId);
  }

  private onAgentEntry(agentId: string, entry: AgentEntry | null): void {
    const process = this.processes.get(agentId);
    if (process === undefined) return;
    const turned: Turned | undefined =
      entry === null
        ? { ok: false, reason: 'unauthorized', detail: 'agent was removed', goaway: 'dead' }
        : judgeState(entry);
    if (turned === undefined) {
      process.drainsUntilMs = undefined;
      return this.tellGrants(process);
    }
    if (entry !== null && drains(entry)) {
      process.drainsUntilMs ??= this.options.clock.monotonic() + stopDrainMs;
      return this.finish(process, turned);
    }
    // P4: running requests are cut; before their first byte they are tried elsewhere.
    for (const link of process.links.values()) this.turnAway(link, turned);
  }

  /** P4: an agent that was stopped softly loses its links once nothing runs on it. */
  private finish(process: AgentProcess, turned: Turned): void {
    const { links, drainsUntilMs = 0 } = process;
    const running = [...links.values()].reduce((sum, link) => sum + link.inFlight, 0);
    if (running > 0 && this.options.clock.monotonic() < drainsUntilMs) return;
    for (const link of links.values()) {
      this.sendAck(link);
      this.turnAway(link, turned);
    }
  }

  private turnAway(link: AgentLink, turned: Turned): void {
    const { reason, detail, goaway } = turned;
    if (goaway !== undefined) link.peer.send({ type: 'goaway', reason: goaway });
    link.peer.close(reason, detail);
  }

  // Telling

  private sendConfig(process: AgentProcess, when: 'when_changed' | AgentLink): void {
    const entry = this.options.directory.agent(process.agentId);
    // What it holds, it needs until what runs has ended.
    if (entry === undefined || entry.state !== 'enrolled') return;
    const { maxConcurrentRequests, storageLimitBytes } = entry;
    const models = this.desired.of(entry);
    const config: RouterControl = {
      type: 'config',
      models,
      maxConcurrentRequests,
      storageLimitBytes,
    };
    const text = JSON.stringify(config);
    const links = when === 'when_changed' ? process.links.values() : [when];
    for (const link of links) {
      if (link.phase === 'closed' || link.configText === text) continue;
      link.configText = text;
      link.peer.send(config);
    }
  }

  private sendAcks(): void {
    this.ackTimer = undefined;
    for (const link of this.acks.keys()) this.sendAck(link);
  }

  private sendAck(link: AgentLink): void {
    const requestIds = this.acks.get(link);
    this.acks.delete(link);
    if (requestIds === undefined || link.phase === 'closed') return;
    link.peer.send({ type: 'ack', requestIds });
  }

  private report(event: { agentId: string; kind: string; detail: string }): void {
    this.options.presence.event(event);
  }

  private changed(agentId: string): void {
    for (const listener of this.listeners) listener(agentId);
  }

  private armSweep(): void {
    this.sweepTimer = this.options.clock.setTimer(linkSweepMs, () => {
      this.sweep();
      if (!this.stopped) this.armSweep();
    });
  }

  private sweep(): void {
    const nowMs = this.options.clock.monotonic();
    const late: AgentLink[] = [];
    const seen: { agentId: string; lastFrameAtMs: number }[] = [];
    const stopped: string[] = [];
    for (const { agentId, links, drainsUntilMs } of this.processes.values()) {
      let lastFrameAtMs = -Infinity;
      for (const link of links.values()) {
        lastFrameAtMs = Math.max(lastFrameAtMs, link.peer.lastFrameAtMs());
        const isLate = nowMs > link.tokenExpiresAtMs + tokenGraceMs;
        if (isLate && drainsUntilMs === undefined) late.push(link);
      }
      seen.push({ agentId, lastFrameAtMs });
      if (drainsUntilMs !== undefined) stopped.push(agentId);
    }
    for (const agentId of stopped) {
      this.onAgentEntry(agentId, this.options.directory.agent(agentId) ?? null);
    }
    const detail = 'the access token was not renewed';
    for (const link of late) {
      this.turnAway(link, { ok: false, reason: 'token_expired', detail, goaway: 'token_expired' });
    }
    this.options.presence.seen(seen);
    this.sweeps += 1;
    if (this.sweeps % sweepsPerRttSample === 0) this.sampleRtt();
  }

  private sampleRtt(): void {
    for (const process of this.processes.values()) {
      let shortestMs = Infinity;
      for (const { peer } of process.links.values()) {
        const rttMs = peer.rttMs() ?? NaN;
        this.linkRtt.observe(rttMs / 1000);
        if (rttMs < shortestMs) shortestMs = rttMs;
      }
      if (shortestMs < Infinity) this.tellRtt(process, shortestMs);
    }
  }

  /** Nobody chooses by less than a difference that lasts. */
  private tellRtt(process: AgentProcess, rttMs: number): void {
    const { agentId, nonce, toldRttMs = -Infinity } = process;
    if (Math.abs(rttMs - toldRttMs) < Math.max(leastRttChangeMs, rttChange * rttMs)) return;
    process.toldRttMs = rttMs;
    this.options.tell({ type: 'rtt', agentId, nonce, rttMs });
  }

  /** The owner of one session: counts it as a stranger until it is linked or gone. */
  private ownerOf(session: () => LinkSession): LinkOwner {
    return {
      onLinked: (link) => {
        this.strangers -= 1;
        this.onLinked(link);
      },
      onGrant: (link) => this.onGrant(link),
      onHeartbeat: (link, message) => this.onHeartbeat(link, message),
      onLog: (link, message) => this.onLog(link, message),
      onTrailers: (link, ends) => this.onTrailers(link, ends),
      onClosed: (link, why) => {
        if (link === undefined) this.strangers -= 1;
        this.sessions.delete(session());
        this.onClosed(link, why);
      },
    };
  }
}

const isSame = (one: unknown, other: unknown): boolean =>
  JSON.stringify(one) === JSON.stringify(other);
