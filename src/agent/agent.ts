/**
 * The agent: a machine's end of the platform. It joins a server once, keeps a link to it, holds the
 * models that it is asked to hold and answers what comes over the link with its engine.
 *
 * Parts: `joining/` (state, keys, enrolment, tokens, hardware), `linking/` (link, supervisor, log,
 * trailers), `serving/` (requests, slots, models, wire-final bytes), `engines/`, `models/`,
 * `health/` (what HEARTBEAT says).
 * `docs/internals/agent.md` tells how they work together.
 *
 * Invariants
 * A1 The agent never runs more than it granted (`serving/slotBook.ts`).
 * G3 `run` ends in one place and leaves nothing running: link, engine, timers, lock.
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
import { HealthProbe } from './health/healthProbe.ts';
import { heartbeatOf } from './health/heartbeat.ts';
import { probeHardware, thisMachine } from './joining/hardware.ts';
import {
  findMembership,
  joinAnew,
  type Membership,
  type MembershipParts,
} from './joining/membership.ts';
import { parseLinkUrl } from './joining/serverAddress.ts';
import { openState, type StateStore } from './joining/stateFile.ts';
import { TokenKeeper } from './joining/tokens.ts';
import { AgentLog } from './linking/agentLog.ts';
import { LinkSession } from './linking/link.ts';
import { Supervisor, type SupervisorEnd } from './linking/supervisor.ts';
import { TrailerStore } from './linking/trailers.ts';
import { grantOf } from './serving/grant.ts';
import { ModelKeeper, type ModelStage } from './serving/modelKeeper.ts';
import { serveStream, type Answered, type ServeParts } from './serving/serveStream.ts';
import { SlotBook } from './serving/slotBook.ts';

export interface AgentParts {
  config: AgentConfig;
  /** Builds the engine; `log` also goes to the owner's page. */
  createEngine: (parts: { log: Logger; engineLine: AgentLog['engineLine'] }) => Engine;
  /** Null where the engine needs no files. */
  models: ModelEnsurer | null;
  clock: Clock;
  random: Random;
  log: Logger;
  onEvent: (event: AgentEvent) => void;
}

export type AgentEnd =
  /** Drained or stopped as it was told. */
  | { kind: 'stopped' }
  /** It cannot go on; the sentence says what to do. */
  | { kind: 'refused'; message: string };

export interface Agent {
  /**
   * Runs until it is told to stop, or cannot go on. Aborting the signal stops it at once. Call
   * once.
   */
  run(signal: AbortSignal): Promise<AgentEnd>;
  /** Takes nothing new; `run` resolves when what runs has ended. Idempotent. */
  drain(): void;
}

/** Puts an agent together; nothing happens before `run`. */
export function createAgent(parts: AgentParts): Agent {
  return new RunningAgent(parts);
}

class RunningAgent implements Agent {
  private readonly parts: AgentParts;
  private readonly agentLog: AgentLog;
  private readonly log: Logger;
  private readonly engine: Engine;
  private readonly slots: SlotBook;
  private readonly trailers = new TrailerStore();
  private readonly keeper: ModelKeeper;
  /** Random per start: the router fences the links of an older one. */
  private readonly instance: string;
  private readonly leaving = new AbortController();
  private readonly serveParts: ServeParts;
  private readonly health: HealthProbe;
  /** By instance, of those that are offered (and some that were). */
  private readonly answerRates = new Map<string, AnswerRate>();
  private maxConcurrentRequests = 0;
  private supervisor: Supervisor | undefined;

  constructor(parts: AgentParts) {
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
    this.health = new HealthProbe({ clock, source: thisMachine });
  }

  async run(signal: AbortSignal): Promise<AgentEnd> {
    const { config, clock, random } = this.parts;
    const opened = await openState({ directory: config.stateDir, clock, random });
    if (opened.kind === 'refused') return opened;
    const over = new AbortController();
    const looking = this.health.run(over.signal);
    try {
      return await this.runWith(
        opened.store,
        AbortSignal.any([signal, this.leaving.signal]),
        signal,
      );
    } finally {
      over.abort();
      await looking;
      this.keeper.stop();
      await this.engine.stop();
      await opened.store.close();
    }
  }

  drain(): void {
    this.log.info({ running: this.slots.running }, 'draining');
    this.leaving.abort();
    this.supervisor?.drain();
  }

  /** `leaving` ends what leads to a link, `cut` ends the link too. */
  private async runWith(
    store: StateStore,
    leaving: AbortSignal,
    cut: AbortSignal,
  ): Promise<AgentEnd> {
    const joining = this.joiningParts(store, leaving);
    const found = await findMembership(joining);
    if (found.kind !== 'member') return found.kind === 'refused' ? found : { kind: 'stopped' };
    await this.engine.start(leaving);
    const end = await this.serveAndClose(found.membership, store, cut);
    if (end.kind !== 'dead') return endOf(end);
    const again = await joinAnew(joining, found.membership);
    if (again === undefined) return endOf(end);
    this.log.warn({ detail: end.message }, 'joining anew with the given join key');
    if (again.kind !== 'member') return again.kind === 'refused' ? again : { kind: 'stopped' };
    return endOf(await this.serveAndClose(again.membership, store, cut));
  }

  private joiningParts(store: StateStore, signal: AbortSignal): MembershipParts {
    const { config, clock, random } = this.parts;
    return {
      config,
      store,
      clock,
      random,
      signal,
      facts: () => probeHardware({ agentVersion: config.agentVersion, engine: this.engine.kind }),
      onRetry: ({ message, delayMs }) => {
        this.log.warn(
          { detail: message, delayMs: Math.round(delayMs) },
          'enrolment is tried again',
        );
        this.parts.onEvent({ kind: 'unlinked', message });
      },
    };
  }

  private async serveAndClose(
    membership: Membership,
    store: StateStore,
    cut: AbortSignal,
  ): Promise<SupervisorEnd> {
    try {
      return await this.serve(membership, store, cut);
    } finally {
      membership.client.close();
    }
  }

  /** From a membership to the end of its last link. */
  private async serve(
    membership: Membership,
    store: StateStore,
    cut: AbortSignal,
  ): Promise<SupervisorEnd> {
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
    if (this.leaving.signal.aborted) this.supervisor.drain();
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
      machine: this.health.latest(),
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

function endOf(end: SupervisorEnd): AgentEnd {
  return end.kind === 'stopped' ? end : { kind: 'refused', message: end.message };
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
