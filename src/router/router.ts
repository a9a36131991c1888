/**
 * The data plane: decides which agent serves a request and relays the answer. It knows the durable
 * world through `ports.ts` alone.
 *
 * Parts: `directory` (durable things in memory), `links/` (who is linked, handshake, grants),
 * `logs/` (what agents say), `health/` (how they are), `requests/` (one request from arrival to
 * outcome; the relay is `requests/attempt.ts`), `journal/` (what happened, on disk and then in the
 * store). Decisions are `domain/scheduler/scheduler.ts`.
 *
 * Invariants (numbered as in ARCHITECTURE.md; each file says how it keeps them)
 * R1 Every accepted request ends in exactly one outcome, and its slot is released exactly once.
 * R2 No work goes to an agent that is not active, of another project, or below the isolation asked.
 * R3 No byte of an answer is delivered twice, none is lost, none reaches another request.
 * R4 From admission to the first byte nothing is awaited but the agent.
 * R5 In-flight counts change only at claim and release.
 * R6 Everything is bounded, and the bound has a name in `limits.ts`.
 */
import { agentsReady } from '../domain/scheduler/verdict.ts';
import path from 'node:path';
import type { WebSocket } from 'ws';
import { tierTable, type TierTable } from '../domain/tiers/tiers.ts';
import { maxWaitingRequests } from '../domain/limits.ts';
import type { WaitingBounds } from '../domain/waiting/waitingQueue.ts';
import type { Clock } from '../lib/clock.ts';
import { sleep } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import type { Tracing } from '../lib/tracing/span.ts';
import { linkLimits, type LinkLimits } from '../protocol/limits.ts';
import type { Transport } from '../protocol/link.ts';
import { createWsTransport, wsServerOptions } from '../protocol/wsTransport.ts';
import { BudgetBook, type BudgetView } from './budgetBook.ts';
import { KeyDays } from './keyDays.ts';
import { Directory, type DirectoryEvent } from './directory.ts';
import { Journal } from './journal/journal.ts';
import { diskJournalFiles, type JournalFiles } from './journal/journalFiles.ts';
import { ReceiptBook } from './receipts/receiptBook.ts';
import { ReceiptView } from './receipts/receiptView.ts';
import { diskReceiptFiles, type ReceiptFiles } from './receipts/receiptFiles.ts';
import { HealthBook, type AgentHealth } from './health/healthBook.ts';
import { stopTimeoutMs } from './limits.ts';
import { routerMetrics } from './metrics/routerMetrics.ts';
import { agentPresence, type AgentPresence } from './links/agentPresence.ts';
import { AgentRegistry } from './links/agentRegistry.ts';
import { LogBook } from './logs/logBook.ts';
import { PresenceReporter } from './links/presenceReporter.ts';
import { UptimeMeter } from './links/uptimeMeter.ts';
import type {
  ClientSink,
  InferenceRequest,
  Outcome,
  Refusal,
  RouterPorts,
  SubmitResult,
} from './ports.ts';
import type { MakeScheduler } from './requests/schedulerDriver.ts';
import { journalUnavailable, shuttingDown } from './requests/refusals.ts';
import { RequestTable } from './requests/requestTable.ts';

/** What the link asks of a WebSocket server (`ws`), for whoever upgrades its sockets. */
export const linkServerOptions = wsServerOptions;

/** The largest message of a link, for whoever upgrades its WebSocket, in bytes. */
export const linkMaxMessageBytes = linkLimits.maxMessageBytes;

export interface RouterConfig {
  /** Names this router to agents and in request ids. */
  routerId: string;
  /** The journal lies in `<dataDir>/journal`. */
  dataDir: string;
  /** Where this router is, for requests that say nothing of it. By default `local`. */
  region?: string;
  /** The operator's figures; the product's own otherwise. */
  tiers?: TierTable;
  waiting?: Partial<WaitingBounds>;
  /** A link on which nothing came for so long is lost, in ms; at most the protocol's 30 s. */
  linkSilentAfterMs?: number;
  /**
   * A stream without its first byte for so long goes to another agent, if there is one, in ms. By
   * default the request timeout of its tier.
   */
  firstByteMs?: number | undefined;
  /**
   * A stream on which nothing came for so long goes on at another agent, if it may, in ms. By
   * default the larger of 15 s and twenty times what a token of its engine takes (p99).
   */
  stallMs?: number | undefined;
  /**
   * A stream that waits for its first byte for longer than nine of ten would gets a second agent,
   * if one is free. At most one request in fifty. By default none does.
   */
  hedging?: boolean | undefined;
}

export interface RouterStats {
  running: number;
  waiting: number;
  journal: 'ok' | 'failing';
  /** Agents with a link up. */
  linkedAgents: number;
  /** Requests that ended, by outcome, since the start. */
  outcomes: Readonly<Partial<Record<Outcome, number>>>;
}

export interface EndpointStats {
  running: number;
  waiting: number;
  /** Agents that could serve it now, or once they have a free slot. */
  agentsReady: number;
}

export interface RouterAudit {
  /** Slots that are held: by request, by engine instance, and by link. */
  claims: number;
  inFlight: number;
  /** What limits have set aside for them. */
  reserved: number;
  onLinks: number;
  openAttempts: number;
  requests: number;
  /** What the bounds of the queue count. */
  waitingBytes: number;
  waitingProjects: number;
}

export interface RouterOptions {
  ports: RouterPorts;
  clock: Clock;
  random: Random;
  log: Logger;
  config: RouterConfig;
  /** Where the journal is written; the disk unless a test says otherwise. */
  journalFiles?: JournalFiles;
  /** The same for receipts. */
  receiptFiles?: ReceiptFiles;
  /** Where spans of requests go; absent: nowhere. */
  tracing?: Pick<Tracing, 'record'>;
  /** What decides; the product's own unless a bench compares it with another. */
  makeScheduler?: MakeScheduler | undefined;
  /** Other bounds of links than the product's. */
  linkLimits?: Partial<LinkLimits>;
}

/** The life of a router. `draining`: what runs goes on, nothing new comes in. */
type Phase = 'new' | 'serving' | 'draining' | 'stopped';

export function createRouter(options: RouterOptions): Router {
  return new Router(options);
}

export class Router {
  readonly directory: Directory;
  /** What agents have logged lately. */
  readonly logs: LogBook;
  /** Why requests went where they went. */
  readonly receipts: ReceiptBook;
  /** The same, and places in line, of what is in the house. */
  readonly receiptView: ReceiptView;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly journal: Journal;
  private readonly requests: RequestTable;
  private readonly registry: AgentRegistry;
  private readonly presence: PresenceReporter;
  private readonly uptime: UptimeMeter;
  private readonly health: HealthBook;
  private readonly budgets: BudgetBook;
  private readonly keyDays: KeyDays;
  private readonly waitingLimit: number;
  private phase: Phase = 'new';

  constructor(options: RouterOptions) {
    const { ports, clock, random, log, config } = options;
    const files = options.journalFiles ?? diskJournalFiles(path.join(config.dataDir, 'journal'));
    this.clock = clock;
    this.log = log;
    this.directory = new Directory({ feed: ports.directory, clock, log });
    this.logs = new LogBook({ directory: this.directory, clock, random });
    const { tiers = tierTable(), waiting = {}, region = 'local' } = config;
    this.waitingLimit = waiting.maxRequests ?? maxWaitingRequests;
    this.budgets = new BudgetBook({
      ledger: ports.budgets,
      sink: ports.usage,
      hourPrice: tiers.self_hosted.price,
      tell: (event) => this.requests.driver.send(event),
      clock,
      log,
    });
    this.keyDays = new KeyDays({
      ledger: ports.budgets,
      sink: this.budgets.sink,
      isCounted: (id) => (this.directory.apiKey(id)?.quota?.tokensPerDay ?? null) !== null,
      tell: (event) => this.requests.driver.send(event),
      clock,
      log,
    });
    const { sink } = this.keyDays;
    this.journal = new Journal({ files, sink, clock, random, log });
    this.presence = new PresenceReporter({ sink: ports.presence, clock, log });
    this.health = new HealthBook({ sink: ports.health, clock, random, log });
    const { routerId, linkSilentAfterMs } = config;
    this.requests = new RequestTable({
      ...options,
      config: { tiers, waiting, region },
      hedging: config.hedging ?? false,
      failures: { firstByteMs: config.firstByteMs ?? null, stallMs: config.stallMs ?? null },
      journal: this.journal,
      directory: this.directory,
      registry: () => this.registry,
      logs: this.logs,
      budgets: this.budgets,
      receipts: () => this.receipts,
    });
    const { requests, directory } = this;
    this.receipts = receiptBookOf(options, { requests, directory });
    this.receiptView = new ReceiptView({ runs: requests, book: this.receipts, clock });
    this.registry = new AgentRegistry({
      ...options,
      routerId,
      linkLimits: { ...silenceOf(linkSilentAfterMs), ...options.linkLimits },
      directory: this.directory,
      presence: this.presence,
      health: this.health,
      logs: this.logs,
      tell: (event) => this.requests.driver.send(event),
    });
    this.uptime = new UptimeMeter({ sink, clock, log, directory: this.directory });
    this.registry.onChange((agentId) => {
      this.uptime.note(agentId, this.registry.process(agentId) !== undefined);
    });
    this.directory.onChange((event) => this.onDirectory(event));
  }

  /** Replays the journal, loads the directory, begins to serve. Rejects when it cannot. */
  async start(): Promise<void> {
    await this.journal.start();
    await this.directory.start();
    await this.budgets.start();
    await this.keyDays.start();
    this.requests.start();
    this.registry.start();
    this.uptime.start();
    this.health.start();
    // Never rejects; receipts of an earlier process are found while requests are served.
    void this.receipts.start();
    this.phase = 'serving';
  }

  /** Whether requests are served. */
  ready(): boolean {
    return this.phase === 'serving' && this.directory.ready;
  }

  /**
   * Serves one admitted request. Resolves when nothing more will happen to the sink; never rejects.
   * Without an answer the caller writes the refusal.
   */
  submit(request: InferenceRequest, sink: ClientSink): Promise<SubmitResult> {
    if (this.phase !== 'serving') return refusedAtOnce('shutting_down', shuttingDown);
    if (!this.journal.accepting()) {
      return refusedAtOnce('journal_unavailable', journalUnavailable);
    }
    return this.requests.submit(request, sink);
  }

  /** Takes over the WebSocket of an agent, in the turn in which it opened. */
  acceptWebSocket(socket: WebSocket, remote: { address: string }): void {
    this.acceptLink(createWsTransport(socket), remote);
  }

  /** Takes over a transport on which an agent is about to say HELLO. */
  acceptLink(transport: Transport, remote: { address: string }): void {
    if (this.phase === 'serving') this.registry.accept(transport, remote);
    else transport.terminate();
  }

  /** The agents that have a link up. */
  agents(): AgentPresence[] {
    return [...this.registry.linked()].map((process) => this.presenceOf(process));
  }

  /** Their ids alone. */
  linkedAgentIds(): string[] {
    return [...this.registry.linked()].map(({ agentId }) => agentId);
  }

  /** The same for one; undefined while it has no link. */
  agent(agentId: string): AgentPresence | undefined {
    const process = this.registry.process(agentId);
    return process === undefined ? undefined : this.presenceOf(process);
  }

  /** How an agent that has a link was at its last heartbeat. */
  agentHealth(agentId: string): AgentHealth | undefined {
    return this.health.latest(agentId);
  }

  /** Calls `listener` when an agent's links, grants or models have changed. */
  onAgentChange(listener: (agentId: string) => void): () => void {
    return this.registry.onChange(listener);
  }

  stats(): RouterStats {
    const { running, waiting } = this.requests.driver.scheduler.counts();
    return {
      running,
      waiting,
      journal: this.journal.state(),
      linkedAgents: [...this.registry.linked()].length,
      outcomes: { ...this.requests.outcomes },
    };
  }

  /** What is measured, in Prometheus' text format. */
  metrics(): string {
    const { scheduler } = this.requests.driver;
    const { directory, registry, waitingLimit } = this;
    return routerMetrics({
      counts: { ...scheduler.counts(), waitingLimit },
      meter: this.requests.meter,
      learned: scheduler.learned(),
      penalties: scheduler.penalties(),
      receipts: this.receipts.state(),
      journal: this.journal.figures(),
      directory,
      registry,
    });
  }

  /** Budgets of a project and of its keys, and what they have come to. */
  budgetsOf(projectId: string): BudgetView[] {
    return this.budgets.ofProject(projectId);
  }

  /** Zeroes for an endpoint that is not there. */
  endpointStats(endpointId: string): EndpointStats {
    const { scheduler } = this.requests.driver;
    const endpoint = this.directory.endpointById(endpointId);
    const project = this.directory.project(endpoint?.projectId ?? '');
    const model = this.directory.model(endpoint?.modelId ?? '');
    const counts = scheduler.endpointCounts(endpointId);
    if (endpoint === undefined || project === undefined || model === undefined) {
      return { ...counts, agentsReady: 0 };
    }
    const nothing = {
      id: '',
      region: null,
      abilities: [],
      bodyBytes: 0,
      maxTokens: null,
      key: null,
    };
    const request = { ...nothing, project, endpoint, model };
    return { ...counts, agentsReady: agentsReady(scheduler.fleet, request) };
  }

  /** Agents that could serve the endpoint now, or once they have a free slot. */
  agentsReady(endpointId: string): number {
    return this.endpointStats(endpointId).agentsReady;
  }

  /** R1 and R5 as sums, for tests: all zero once every request is over. */
  audit(): RouterAudit {
    const { claims, inFlight, reserved, ...waiting } = this.requests.driver.scheduler.audit();
    const { waitingBytes, waitingProjects } = waiting;
    const { openAttempts, size: requests } = this.requests;
    const held = { claims, inFlight, reserved, onLinks: this.registry.inFlight };
    return { ...held, openAttempts, requests, waitingBytes, waitingProjects };
  }

  /**
   * Takes nothing new, refuses what waits, lets what runs go on for `deadlineMs`, then ends it with
   * an error. Resolves when no request is left.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.phase = 'draining';
    this.requests.refuseWaiting();
    const aborter = new AbortController();
    const deadline = sleep(this.clock, deadlineMs, aborter.signal);
    await Promise.race([this.requests.whenEmpty(), deadline]);
    aborter.abort();
    this.requests.endAll();
    await this.requests.whenEmpty();
  }

  /** Ends every request and link, writes and delivers what it can in `stopTimeoutMs`. */
  async stop(): Promise<void> {
    if (this.phase === 'stopped') return;
    await this.drain(0);
    this.phase = 'stopped';
    this.registry.stop('shutting_down');
    this.requests.stop();
    this.directory.stop();
    this.health.stop();
    this.budgets.stop();
    this.keyDays.stop();
    const aborter = new AbortController();
    const deadline = sleep(this.clock, stopTimeoutMs, aborter.signal);
    const closing = Promise.all([
      this.journal.stop(),
      this.presence.stop(),
      this.uptime.stop(),
      this.receipts.stop(),
    ]);
    if ((await Promise.race([closing, deadline])) === 'elapsed') {
      this.log.warn({}, 'usage that the store did not take stays in the journal');
    }
    aborter.abort();
  }

  private onDirectory(event: DirectoryEvent): void {
    const { driver } = this.requests;
    if (event.kind === 'agent') {
      if (event.entry === null) driver.send({ type: 'agent_gone', agentId: event.id });
      else driver.send({ type: 'agent', entry: event.entry });
    }
    if (event.kind === 'budget') this.budgets.onDirectory(event);
    if (event.kind === 'api_key') this.requests.endUnauthorized(event.id, event.entry);
    this.requests.reroute(event);
    this.registry.onDirectory(event);
  }

  private presenceOf(process: Parameters<typeof agentPresence>[0]): AgentPresence {
    const { scheduler } = this.requests.driver;
    return agentPresence(process, { scheduler, nowMs: this.clock.monotonic() });
  }
}

/** PINGs go so often that some of them may be lost on the way. */
const pingsPerSilence = 6;

function silenceOf(silentAfterMs: number = linkLimits.silentAfterMs): Partial<LinkLimits> {
  const pingIntervalMs = Math.min(linkLimits.pingIntervalMs, silentAfterMs / pingsPerSilence);
  return { silentAfterMs, pingIntervalMs: Math.round(pingIntervalMs) };
}

function refusedAtOnce(outcome: Outcome, refusal: Refusal): Promise<SubmitResult> {
  return Promise.resolve({ outcome, answered: false, refusal });
}

function receiptBookOf(
  { config, receiptFiles, clock, log }: RouterOptions,
  { requests, directory }: { requests: RequestTable; directory: Directory },
): ReceiptBook {
  return new ReceiptBook({
    files: receiptFiles ?? diskReceiptFiles(path.join(config.dataDir, 'receipts')),
    fleet: requests.driver.scheduler.fleet,
    agent: (agentId) => directory.agent(agentId),
    clock,
    log,
  });
}
