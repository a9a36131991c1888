/**
 * The agent as a member: from a membership to the end of its last link. It holds the models that it
 * is asked to hold and answers what comes over the link with its engine. How it came to be a member
 * is `agent.ts`'s.
 *
 * Invariant
 * A1 The agent never runs more than it granted (`serving/slotBook.ts`).
 */
import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import type { HeartbeatMessage } from '../protocol/messages/agentControl.ts';
import type { ConfigMessage } from '../protocol/messages/routerControl.ts';
import type { AgentConfig } from './agentConfig.ts';
import type { AgentEvent } from './agentEvent.ts';
import type { Engine, ModelEnsurer } from './engines/engine.ts';
import { AnswerRate } from './health/answerRate.ts';
import { heartbeatOf, thisMemory, type MachineMemory } from './health/heartbeat.ts';
import type { MachineHealth } from './health/machineHealth.ts';
import type { Membership } from './joining/membership.ts';
import { parseLinkUrl } from './joining/serverAddress.ts';
import type { StateStore } from './joining/stateFile.ts';
import { TokenKeeper } from './joining/tokens.ts';
import { AgentLog } from './linking/agentLog.ts';
import { dial, type Dial } from './linking/dial.ts';
import { LinkSession } from './linking/link.ts';
import { Supervisor, type SupervisorEnd } from './linking/supervisor.ts';
import { TrailerStore } from './linking/trailers.ts';
import { grantOf } from './serving/grant.ts';
import { ModelKeeper, type ModelStage } from './serving/modelKeeper.ts';
import { serveStream, type Answered, type ServeParts } from './serving/serveStream.ts';
import { SlotBook } from './serving/slotBook.ts';

export interface ServingParts {
  config: Pick<AgentConfig, 'agentVersion' | 'stateDir' | 'storageLimitBytes'>;
  /** Builds the engine; `log` also goes to the owner's page. */
  createEngine: (parts: { log: Logger; engineLine: AgentLog['engineLine'] }) => Engine;
  /** Null where the engine needs no files. */
  models: ModelEnsurer | null;
  /** How the machine was when it was looked at last. */
  machineHealth: () => MachineHealth;
  clock: Clock;
  random: Random;
  log: Logger;
  onEvent: (event: AgentEvent) => void;
  /** What a heartbeat says of memory: this machine's unless a test says otherwise. */
  memory?: () => MachineMemory;
  /** Opens the connection of a link: a WebSocket unless a test says otherwise. */
  dial?: Dial;
}

export class ServingAgent {
  /** Logs to the given logger and to the owner's page. */
  readonly log: Logger;
  readonly engine: Engine;
  private readonly parts: ServingParts;
  private readonly agentLog: AgentLog;
  private readonly slots: SlotBook;
  private readonly trailers = new TrailerStore();
  private readonly keeper: ModelKeeper;
  /** Random per start: the router fences the links of an older one. */
  private readonly instance: string;
  private readonly serveParts: ServeParts;
  /** By instance, of those that are offered (and some that were). */
  private readonly answerRates = new Map<string, AnswerRate>();
  private maxConcurrentRequests = 0;
  private supervisor: Supervisor | undefined;
  private leaving = false;

  constructor(parts: ServingParts) {
    const { clock, random, models, log } = parts;
    this.parts = parts;
    this.agentLog = new AgentLog({ logger: log, clock });
    this.log = this.agentLog.logger;
    this.engine = parts.createEngine({
      log: this.log,
      engineLine: (level, text) => this.agentLog.engineLine(level, text),
    });
    this.slots = new SlotBook(clock);
    this.instance = newId('agin', random);
    this.serveParts = {
      engine: this.engine,
      slots: this.slots,
      log: this.log,
      clock,
      keepTrailers: (end) => this.trailers.keep(end),
      onAnswer: (answer) => this.onAnswer(answer),
    };
    this.keeper = new ModelKeeper({
      engine: this.engine,
      ensurer: models,
      clock,
      random,
      log: this.log,
      onStage: ({ desired, stage, progressed }) => {
        if (!progressed) this.supervisor?.current()?.announce();
        const event = eventOf(desired.name, stage);
        if (event !== undefined) parts.onEvent(event);
      },
    });
    this.engine.onOffersChange = () => this.onOffersChange();
    if (models !== null) {
      models.onStorageChange = () => this.supervisor?.current()?.announce();
    }
  }

  /** Requests that hold a slot. */
  get running(): number {
    return this.slots.running;
  }

  /** Takes nothing new; `serve` resolves when what runs has ended. Idempotent. */
  drain(): void {
    this.log.info({ running: this.slots.running }, 'draining');
    this.leaving = true;
    this.supervisor?.drain();
  }

  /** Ends what the agent does for its models. The engine is its owner's to stop. */
  stop(): void {
    this.keeper.stop();
  }

  /** From a membership to the end of its last link; aborting `cut` ends it at once. */
  async serve(membership: Membership, store: StateStore, cut: AbortSignal): Promise<SupervisorEnd> {
    const { clock, random, onEvent } = this.parts;
    const { address, identity, enrolment, client, fresh } = membership;
    const linked = parseLinkUrl(address, enrolment.linkUrl);
    if (linked.kind === 'invalid') return { kind: 'refused', message: linked.message };
    const tokens = new TokenKeeper({ client, store, identity, clock, random, log: this.log });
    if (fresh !== undefined) tokens.adopt(fresh);
    onEvent({ kind: 'enrolled', name: enrolment.name, agentId: enrolment.agentId });
    this.supervisor = new Supervisor({
      tokens,
      clock,
      random,
      newSession: (accessToken) => this.newSession(membership, linked.url, accessToken),
      onWaiting: ({ why, message, delayMs }) => {
        this.log.warn({ why, detail: message, delayMs: Math.round(delayMs) }, 'no link');
        onEvent({ kind: 'unlinked', message });
      },
    });
    if (this.leaving) this.supervisor.drain();
    return this.supervisor.run(cut);
  }

  private newSession(membership: Membership, url: URL, accessToken: string): LinkSession {
    const { clock, config } = this.parts;
    const { identity, enrolment, address } = membership;
    return new LinkSession({
      url,
      pin: address.pin,
      identity,
      agentId: enrolment.agentId,
      instance: this.instance,
      agentVersion: config.agentVersion,
      accessToken,
      clock,
      dial: this.parts.dial ?? dial,
      log: this.log,
      agentLog: this.agentLog,
      trailers: this.trailers,
      grant: () => this.grant(),
      heartbeat: () => this.heartbeat(),
      onOpen: (open, stream) => serveStream(this.serveParts, { open, stream }),
      onConfig: (message) => this.onConfig(message),
      onUp: ({ routerId }) => {
        this.log.info({ routerId, server: address.base }, 'linked');
        this.parts.onEvent({ kind: 'linked' });
      },
    });
  }

  private onConfig(config: ConfigMessage): void {
    this.maxConcurrentRequests = config.maxConcurrentRequests;
    this.parts.models?.setStorageLimit({
      configuredBytes: config.storageLimitBytes,
      ownBytes: this.parts.config.storageLimitBytes,
    });
    this.keeper.configure(config);
    this.regrant();
  }

  private onOffersChange(): void {
    this.keeper.onOffersChange();
    this.regrant();
  }

  private regrant(): void {
    // The book first: an OPEN may answer the message in its turn.
    this.grant();
    this.supervisor?.current()?.regrant();
  }

  private grant(): ReturnType<typeof grantOf> {
    const message = grantOf(this.engine.offers(), this.maxConcurrentRequests);
    this.slots.grant(new Map(message.instances.map(({ instance, slots }) => [instance, slots])));
    return message;
  }

  private heartbeat(): HeartbeatMessage {
    const { clock, models, config } = this.parts;
    const nowMs = clock.monotonic();
    return heartbeatOf({
      models: this.keeper.states(),
      load: this.slots.load(),
      engines: this.engine.metrics(),
      answerRate: (instance) => this.answerRates.get(instance)?.perSecond(nowMs),
      cache: models,
      stateDir: config.stateDir,
      machine: this.parts.machineHealth(),
      memory: (this.parts.memory ?? thisMemory)(),
    });
  }

  private onAnswer(answer: Answered): void {
    const rate = this.answerRates.get(answer.instance);
    if (rate !== undefined) return rate.note(answer);
    const offered = new Set(this.engine.offers().map(({ instance }) => instance));
    for (const known of this.answerRates.keys()) {
      if (!offered.has(known)) this.answerRates.delete(known);
    }
    const fresh = new AnswerRate();
    fresh.note(answer);
    this.answerRates.set(answer.instance, fresh);
  }
}

/** What a model's stage is to somebody who watches; undefined for what needs no word. */
function eventOf(model: string, stage: ModelStage): AgentEvent | undefined {
  switch (stage.kind) {
    case 'wanted':
      return undefined;
    case 'fetching': {
      const { receivedBytes, totalBytes, bytesPerSecond } = stage.progress;
      if (receivedBytes === undefined) return undefined;
      return {
        kind: 'fetching',
        model,
        receivedBytes,
        totalBytes: totalBytes ?? null,
        bytesPerSecond: bytesPerSecond ?? null,
      };
    }
    case 'loading':
      return { kind: 'loading', model, fraction: stage.fraction };
    case 'ready':
      return { kind: 'ready', model };
    case 'failed':
      return { kind: 'failed', model, message: stage.message, tried: stage.tried };
  }
}
