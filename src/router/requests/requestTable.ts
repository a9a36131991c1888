/**
 * The requests that the router has, and the sweep that looks at their timeouts: one timer for all
 * of them, none per request and none per chunk. Counts how requests ended.
 *
 * Invariants
 * R1 A request is in the table until it is over, an attempt until its slot is free.
 */
import { createHmac } from 'node:crypto';
import { apiKeyStanding } from '../../domain/settings/apiKeyStanding.ts';
import type { AgentEntry, ApiKeyEntry, EndpointEntry } from '../../domain/directory.ts';
import type { SchedulerConfig } from '../../domain/scheduler/schedulerConfig.ts';
import type { RoutedRequest } from '../../domain/agents/matching.ts';
import type { TierTable } from '../../domain/tiers/tiers.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { SteadyMap } from '../../lib/memory/steadyMap.ts';
import type { Random } from '../../lib/random.ts';
import type { Tracing } from '../../lib/tracing/span.ts';
import type { BudgetBook } from '../budgetBook.ts';
import type { Directory, DirectoryEvent } from '../directory.ts';
import type { Journal } from '../journal/journal.ts';
import type { LogBook } from '../logs/logBook.ts';
import type { AgentRegistry } from '../links/agentRegistry.ts';
import { maxCacheSalts, requestSweepMs } from '../limits.ts';
import type { ReceiptBook } from '../receipts/receiptBook.ts';
import { RequestMeter } from '../metrics/requestMeter.ts';
import type { ClientSink, InferenceRequest, Outcome, SubmitResult, UsageRecord } from '../ports.ts';
import { requestSpans } from '../tracing/requestSpans.ts';
import type { Attempt, CoarseTime, FailureLimits } from './attempt.ts';
import { ChunkTokens } from '../resuming/chunkTokens.ts';
import { PlaceTeller } from './placeTeller.ts';
import { PromptHasher } from './promptBlocks.ts';
import { RequestRun } from './requestRun.ts';
import type { RunContext } from './runContext.ts';
import { SchedulerDriver, type MakeScheduler } from './schedulerDriver.ts';

const saltCharacters = 16;

export class RequestTable {
  readonly driver: SchedulerDriver;
  readonly meter = new RequestMeter();
  readonly outcomes: Partial<Record<Outcome, number>> = {};
  private readonly clock: Clock;
  private readonly directory: Directory;
  private readonly runs = new SteadyMap<string, RequestRun>();
  /** Keys that have had requests since the last sweep. */
  private readonly byKey = new SteadyMap<string, SteadyMap<string, RequestRun>>();
  private readonly attempts = new SteadyMap<number, Attempt>();
  private readonly time: CoarseTime = { nowMs: 0 };
  private readonly context: RunContext;
  private readonly prompts: PromptHasher;
  private readonly tracing: Pick<Tracing, 'record'> | undefined;
  private readonly places: PlaceTeller;
  private readonly salts = new Map<string, string>();
  private timer: Timer | undefined;
  private emptied: (() => void)[] = [];

  constructor(options: {
    clock: Clock;
    random: Random;
    config: SchedulerConfig;
    failures: FailureLimits;
    hedging: boolean;
    journal: Journal;
    directory: Directory;
    registry: () => AgentRegistry;
    logs: Pick<LogBook, 'serve'>;
    budgets: BudgetBook;
    tracing?: Pick<Tracing, 'record'>;
    receipts: () => ReceiptBook;
    makeScheduler?: MakeScheduler | undefined;
  }) {
    const { clock, random, config, makeScheduler } = options;
    this.clock = clock;
    this.directory = options.directory;
    this.tracing = options.tracing;
    this.prompts = new PromptHasher(random);
    this.driver = new SchedulerDriver({
      clock,
      random,
      makeScheduler,
      config,
      handlers: {
        onDispatch: (command) => this.runs.get(command.requestId)?.onDispatch(command),
        onReject: (command) => this.runs.get(command.requestId)?.onReject(command),
      },
    });
    this.places = new PlaceTeller(this.driver.scheduler);
    this.context = this.contextOf({ ...options, tiers: config.tiers });
  }

  start(): void {
    this.timer = this.clock.setTimer(requestSweepMs, () => {
      this.sweep();
      this.start();
    });
  }

  stop(): void {
    this.timer?.cancel();
    this.driver.stop();
  }

  /** One that is in the house. */
  run(requestId: string): RequestRun | undefined {
    return this.runs.get(requestId);
  }

  /** Oldest first. */
  all(): Iterable<RequestRun> {
    return this.runs.values();
  }

  get size(): number {
    return this.runs.size;
  }

  /** Streams whose slots are held, those included whose requests are over already. */
  get openAttempts(): number {
    return this.attempts.size;
  }

  /** Takes a request in. Resolves when nothing more will happen to its sink. */
  submit(request: InferenceRequest, sink: ClientSink): Promise<SubmitResult> {
    this.time.nowMs = this.clock.monotonic();
    const run = new RequestRun({ request, sink, context: this.context });
    this.runs.set(request.requestId, run);
    const ofKey = this.byKey.get(request.apiKey.id) ?? new SteadyMap<string, RequestRun>();
    this.byKey.set(request.apiKey.id, ofKey.set(request.requestId, run));
    this.meter.arrived(request.body.length);
    const prompt = this.prompts.blocksOf(request.body);
    const arrived = { ...routed(request, run.startedAtMs), prompt };
    run.trail.routed = arrived;
    this.driver.send({ type: 'arrive', request: arrived });
    this.places.arrived(run, this.time.nowMs);
    return run.result;
  }

  /**
   * Ends what was called with a value of this key that opens nothing now; null: the key is gone.
   */
  endUnauthorized(apiKeyId: string, entry: ApiKeyEntry | null): void {
    const nowMs = this.clock.now();
    for (const run of this.byKey.get(apiKeyId)?.values() ?? []) {
      const presented = { sha256: run.request.apiKeySha256, nowMs };
      if (entry === null || apiKeyStanding(entry, presented) !== 'good') run.revoke();
    }
  }

  /** Refuses what waits. */
  refuseWaiting(): void {
    for (const run of this.runs.values()) if (run.isWaiting) run.shutDown();
  }

  /** Ends everything. */
  endAll(): void {
    for (const run of this.runs.values()) run.shutDown();
  }

  /** Resolves when no request is left. */
  whenEmpty(): Promise<void> {
    if (this.runs.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.emptied.push(resolve));
  }

  private sweep(): void {
    const nowMs = this.clock.monotonic();
    this.time.nowMs = nowMs;
    for (const run of this.runs.values()) run.sweep(nowMs);
    this.places.sweep(nowMs);
    for (const attempt of this.attempts.values()) attempt.giveUpUnconfirmed(nowMs);
    // Keys end by time alone too, and one may have been revoked while a body was being read.
    for (const apiKeyId of this.byKey.keys()) {
      if (this.byKey.get(apiKeyId)?.size === 0) this.byKey.delete(apiKeyId);
      const entry = this.directory.apiKey(apiKeyId);
      if (entry !== undefined) this.endUnauthorized(apiKeyId, entry);
    }
  }

  /** Settings of endpoints have changed: the requests in the house go by the new ones. */
  reroute(event: DirectoryEvent): void {
    if (event.kind === 'region_map') {
      this.driver.send({ type: 'regions', map: this.directory.regionMap });
    }
    for (const endpoint of this.affected(event)) {
      const { running, waiting } = this.driver.scheduler.endpointCounts(endpoint.id);
      const project = this.directory.project(endpoint.projectId);
      const model = this.directory.model(endpoint.modelId);
      if (running + waiting === 0 || project === undefined || model === undefined) continue;
      this.driver.send({ type: 'endpoint', endpoint, project, model });
    }
  }

  private affected({ kind, id }: DirectoryEvent): readonly EndpointEntry[] {
    if (this.runs.size === 0) return [];
    switch (kind) {
      case 'endpoint': {
        const endpoint = this.directory.endpointById(id);
        return endpoint === undefined ? [] : [endpoint];
      }
      case 'project':
        return this.directory.endpointsOf(id);
      case 'model':
        return [...this.directory.allEndpoints()].filter(({ modelId }) => modelId === id);
      default:
        return [];
    }
  }

  private onOver(run: RequestRun, record: UsageRecord): void {
    const { requestId, apiKey } = run.request;
    const { outcome } = record;
    this.meter.ended(record, run.trail);
    this.keepSpans(run, record);
    this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1;
    this.runs.delete(requestId);
    this.places.over(run);
    this.byKey.get(apiKey.id)?.delete(requestId);
    if (this.runs.size === 0) for (const resolve of this.emptied.splice(0)) resolve();
  }

  private keepSpans({ request, trail }: RequestRun, record: UsageRecord): void {
    const { trace } = request;
    if (trace === undefined || trace === null || !trace.recorded) return;
    const agent = this.directory.agent.bind(this.directory);
    this.tracing?.record(requestSpans({ trace, request, trail, record, agent }));
  }

  private saltOf(projectId: string, secret: Buffer): string {
    const known = this.salts.get(projectId);
    if (known !== undefined) return known;
    if (this.salts.size >= maxCacheSalts) this.salts.clear();
    const hash = createHmac('sha256', secret).update(projectId).digest('base64url');
    this.salts.set(projectId, hash.slice(0, saltCharacters));
    return hash.slice(0, saltCharacters);
  }

  private contextOf(options: {
    clock: Clock;
    random: Random;
    tiers: TierTable;
    journal: Journal;
    directory: Directory;
    registry: () => AgentRegistry;
    logs: Pick<LogBook, 'serve'>;
    budgets: BudgetBook;
    receipts: () => ReceiptBook;
    failures: FailureLimits;
    hedging: boolean;
  }): RunContext {
    const { clock, tiers, journal, directory, registry, logs, budgets, receipts } = options;
    const secret = options.random.bytes(32);
    return {
      clock,
      tiers,
      journal,
      budgets,
      time: this.time,
      limits: options.failures,
      hedging: options.hedging,
      tell: (event) => this.driver.send(event),
      couldMove: (claim, moving) => this.driver.scheduler.couldMove(claim, moving),
      kept: { bytes: 0 },
      chunkTokens: new ChunkTokens(),
      linkFor: (dispatch) => registry().linkFor(dispatch),
      agent: (agentId): AgentEntry | undefined => directory.agent(agentId),
      // Separates prefix caches of projects on one engine, and names nobody.
      cacheSalt: (projectId) => this.saltOf(projectId, secret),
      acknowledge: (link, requestId) => registry().acknowledge(link, requestId),
      onAttempt: (attempt, { requestId, project }) => {
        this.attempts.set(attempt.claim, attempt);
        this.meter.attempted(attempt.dispatch);
        logs.serve({ requestId, agentId: attempt.dispatch.agentId, projectId: project.id });
        registry().desired.used(attempt.dispatch.modelId, this.time.nowMs);
      },
      onAttemptClosed: (attempt) => {
        this.attempts.delete(attempt.claim);
        this.meter.attemptClosed(attempt);
      },
      onOver: (run, record) => this.onOver(run, record),
      meter: this.meter,
      receipts: { over: (ended) => receipts().over(ended) },
    };
  }
}

/** What the scheduler is told of a request. */
function routed(request: InferenceRequest, startedAtMs: number): RoutedRequest {
  const { requestId: id, project, endpoint, model, region, abilities, body } = request;
  const { maxTokens, stream, apiKey: key } = request;
  const bodyBytes = body.length;
  const asks = { region, abilities, bodyBytes, maxTokens, stream };
  return { id, project, endpoint, model, ...asks, key, startedAtMs };
}
