/**
 * The url engine: any OpenAI-compatible server that the owner runs, attached and never owned. It is
 * probed for as long as the agent lives: one that goes away takes its offers with it, one that
 * comes back brings new ones.
 *
 * Parts: `urlAddress.ts` (where), `urlProbe.ts` (what), `urlRequest.ts` (one request),
 * `urlMetrics.ts` (its numbers), `engineError.ts` (its errors), `contextRefusal.ts` (a prompt that
 * is too long), this file (reach, offers, names).
 *
 * Invariants (beside E1–E5)
 * U1 A model is served only under a name that the owner gave or that is the very same: never
 *    guessed.
 * U2 Offers exist only while the last probe found the engine up and serving that model.
 * U3 What gave no answer is not known, and asked again: only an answer says that a route or an
 *    ability is missing. An engine that is starting or ending breaks off in the middle.
 */
import { Pool } from 'undici';
import { createBackoff } from '../../lib/backoff.ts';
import { sleep, type Clock } from '../../lib/clock.ts';
import { newId } from '../../lib/ids.ts';
import { withMembers } from '../../lib/json/jsonMembers.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { DesiredModel } from '../../protocol/messages/routerControl.ts';
import {
  defaultUrlSlots,
  maxAbilityRounds,
  maxBrokenProbes,
  probeIntervalMs,
  probeRetryFirstMs,
  staleConnectionMs,
} from '../limits.ts';
import { probeUserAgent, type ProbeTarget } from './askEngine.ts';
import { contextRefusal } from './contextRefusal.ts';
import type {
  Engine,
  EngineEnd,
  EngineMetrics,
  EngineOffer,
  EngineRequest,
  EngineSink,
  EngineSpeed,
  LoadOutcome,
  LoadRequest,
} from './engine.ts';
import { probeSpeed } from './speedProbe.ts';
import type { EngineAddress } from './urlAddress.ts';
import {
  areAbilitiesKnown,
  areRoutesKnown,
  probeAbilities,
  probeFacts,
  probeModels,
  probeRoutes,
  shownBy,
  type Answers,
  type EngineFacts,
  type EngineModel,
} from './urlProbe.ts';
import { UrlMetrics } from './urlMetrics.ts';
import { callEngine } from './urlRequest.ts';

export interface UrlEngineOptions {
  address: EngineAddress;
  /** Sent as a bearer token. Null: none. */
  apiKey: string | null;
  /** Engine's model id by the model's name here (`--serve MODEL=ENGINE_ID`). */
  serve: ReadonlyMap<string, string>;
  /** Requests at once. Null: what the engine says, else `defaultUrlSlots`. */
  slots: number | null;
  clock: Clock;
  random: Random;
  log: Logger;
}

type Reach =
  | { kind: 'unknown' }
  | { kind: 'down'; detail: string }
  | { kind: 'up'; models: readonly EngineModel[]; facts: EngineFacts; routes: Answers };

/** An offer, and what the engine calls its model. */
interface Offered {
  engineModel: string;
  offer: EngineOffer;
  /** What the model can beyond plain text. One for all that this offer becomes. */
  beyondText: BeyondText;
}

interface BeyondText {
  phase: 'resting' | 'asking';
  known: Answers;
  /** How often it was asked for. */
  rounds: number;
}

/** A model that was asked for, and its offer while there is one. */
interface Served {
  desired: DesiredModel;
  offer: Offered | undefined;
}

export class UrlEngine implements Engine {
  readonly kind = 'url';
  readonly needsFiles = false;
  onOffersChange: (() => void) | undefined;
  private readonly options: UrlEngineOptions;
  private readonly pool: Pool;
  private readonly target: ProbeTarget;
  private readonly stopping = new AbortController();
  private readonly served = new Map<string, Served>();
  /** Requests that run, by instance. */
  private readonly running = new Map<string, number>();
  /** Requests that have ever run. */
  private begun = 0;
  private readonly numbers: UrlMetrics;
  private reach: Reach = { kind: 'unknown' };
  /** In a row, since the engine was attached. */
  private brokenProbes = 0;
  /** Ends the pause between two probes. */
  private nap = new AbortController();
  private watching: Promise<void> | undefined;
  private idle: (() => void)[] = [];

  constructor(options: UrlEngineOptions) {
    this.options = options;
    const { address, apiKey, clock } = options;
    this.pool = new Pool(address.origin, {
      // Waiting is the router's to bound: it resets a stream that has waited enough.
      headersTimeout: 0,
      bodyTimeout: 0,
      // Below the five seconds after which common servers close an idle connection.
      keepAliveTimeout: 3_000,
      connect: {
        timeout: 5_000,
        ...(address.socketPath === undefined ? {} : { socketPath: address.socketPath }),
      },
    });
    const headers = {
      'content-type': 'application/json',
      ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
    };
    this.target = { dispatcher: this.pool, clock, prefix: address.prefix, headers };
    this.numbers = new UrlMetrics(this.target);
  }

  async start(signal: AbortSignal): Promise<void> {
    let probed = (): void => {};
    const first = new Promise<void>((resolve) => {
      probed = resolve;
    });
    signal.addEventListener('abort', probed, { once: true });
    this.watching ??= this.watch(probed);
    await first;
  }

  load(request: LoadRequest): Promise<LoadOutcome> {
    const { desired } = request;
    const entry = this.served.get(desired.modelId) ?? { desired, offer: undefined };
    entry.desired = desired;
    this.served.set(desired.modelId, entry);
    if (entry.offer === undefined) this.renewOffers();
    if (entry.offer !== undefined) return Promise.resolve({ kind: 'ready' });
    const message = this.whyNot(desired);
    return Promise.resolve({ kind: 'failed', message, retry: true });
  }

  async unload(modelId: string): Promise<void> {
    const instance = this.served.get(modelId)?.offer?.offer.instance;
    this.served.delete(modelId);
    if (instance === undefined) return;
    this.onOffersChange?.();
    while (this.running.has(instance)) {
      await new Promise<void>((resolve) => this.idle.push(resolve));
    }
  }

  offers(): readonly EngineOffer[] {
    return [...this.served.values()].flatMap(({ offer }) => offer?.offer ?? []);
  }

  async run(request: EngineRequest, sink: EngineSink, signal: AbortSignal): Promise<EngineEnd> {
    const served = [...this.served.values()].find(
      ({ offer }) => offer?.offer.instance === request.instance,
    );
    if (served?.offer === undefined) {
      return { kind: 'failed', reason: 'engine_unreachable', detail: 'the instance is gone' };
    }
    const { instance } = request;
    const { engineModel, offer } = served.offer;
    this.begun += 1;
    this.running.set(instance, (this.running.get(instance) ?? 0) + 1);
    try {
      const body = this.bodyFor(request, engineModel);
      const end = await this.call(body, { request, sink, signal });
      if (end.kind !== 'refused') return end;
      const { engine, contextLength } = offer;
      const by = { engine, contextLength, engineModel, request, signal, target: this.target };
      const refusal = await contextRefusal(end, by);
      return signal.aborted ? { kind: 'cancelled' } : refusal;
    } finally {
      const left = (this.running.get(instance) ?? 1) - 1;
      if (left > 0) this.running.set(instance, left);
      else this.running.delete(instance);
      for (const resolve of this.idle.splice(0)) resolve();
    }
  }

  metrics(): readonly EngineMetrics[] {
    return [...this.served.values()].flatMap(({ offer }) => {
      if (offer === undefined) return [];
      const { instance } = offer.offer;
      const running = this.running.get(instance) ?? 0;
      return [{ instance, running, ...this.numbers.of(offer.engineModel) }];
    });
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.nap.abort();
    // Requests that run see their connection cut and end as failed.
    await this.pool.destroy();
    await this.watching;
  }

  private async call(
    body: Buffer,
    parts: { request: EngineRequest; sink: EngineSink; signal: AbortSignal },
  ): Promise<EngineEnd> {
    const { clock } = this.options;
    const { request, sink, signal } = parts;
    const { dispatcher, prefix } = this.target;
    const { traceparent } = request;
    const given = this.target.headers;
    const headers = traceparent === undefined ? given : { ...given, traceparent };
    const path = prefix + request.path;
    const call = { dispatcher, clock, path, headers, body, stream: request.stream, sink, signal };
    const startedAtMs = clock.monotonic();
    const first = await callEngine(call);
    const stale = first.cutUnanswered && clock.monotonic() - startedAtMs < staleConnectionMs;
    // An idle connection that the engine closes while we write on it is no failure of the engine.
    const { end } = stale && !this.stopping.signal.aborted ? await callEngine(call) : first;
    if (end.kind === 'failed') {
      this.options.log.warn(
        { requestId: request.requestId, reason: end.reason, detail: end.detail },
        'the engine failed a request',
      );
      if (end.reason === 'engine_unreachable') this.lose(end.detail);
      this.nap.abort();
    }
    return end;
  }

  /** The client's body with the engine's name for the model, and always asked for usage (E4). */
  private bodyFor(request: EngineRequest, engineModel: string): Buffer {
    const facts = this.reach.kind === 'up' ? this.reach.facts : undefined;
    const salted = facts?.engine === 'vllm' && request.cacheSalt !== undefined;
    const changes: Record<string, string | undefined> = {
      model: JSON.stringify(engineModel),
      stream: String(request.stream),
      stream_options: request.stream ? '{"include_usage":true}' : undefined,
      ...(salted ? { cache_salt: JSON.stringify(request.cacheSalt) } : {}),
    };
    const spliced = withMembers(request.text, changes);
    if (spliced !== undefined) return spliced;
    // A member stands twice: what a parser makes of that is written anew, so that no engine reads
    // another one than the router did. Its members are each there once.
    const once = Buffer.from(JSON.stringify(request.body));
    return withMembers(once, changes) ?? once;
  }

  private async watch(onProbed: () => void): Promise<void> {
    const { clock, random } = this.options;
    const stopped = this.stopping.signal;
    const backoff = createBackoff({
      random,
      firstMs: probeRetryFirstMs,
      longestMs: probeIntervalMs,
    });
    while (!stopped.aborted) {
      this.nap = new AbortController();
      await this.probe(stopped);
      onProbed();
      const isKnown = this.reach.kind === 'up' && areRoutesKnown(this.reach.routes);
      if (isKnown) backoff.reset();
      const waitMs = isKnown ? probeIntervalMs : backoff.nextMs();
      if (stopped.aborted) break;
      await sleep(clock, waitMs, this.nap.signal);
    }
  }

  private async probe(signal: AbortSignal): Promise<void> {
    const seen = await probeModels(this.target, signal);
    if (signal.aborted) return;
    if (seen.kind === 'down') return this.lose(seen.detail);
    const { models, ownedBy } = seen;
    if (this.reach.kind === 'up') {
      const changed = JSON.stringify(this.reach.models) !== JSON.stringify(models);
      this.reach = { ...this.reach, models };
      if (changed) this.renewOffers({ tell: 'always' });
      await this.askAgain(signal);
      return this.readNumbers(signal);
    }
    const { facts, broke } = await probeFacts(this.target, { ownedBy, signal });
    const routes = await probeRoutes(this.target, { known: new Map(), signal });
    if (signal.aborted) return;
    if ((broke || !areRoutesKnown(routes)) && this.brokenProbes < maxBrokenProbes) {
      this.brokenProbes += 1;
      return this.lose('it broke off an answer');
    }
    this.brokenProbes = 0;
    this.reach = { kind: 'up', models, facts, routes };
    const { engine, version } = facts;
    const names = models.map(({ id }) => id);
    const engineUrl = this.options.address.shown;
    this.options.log.info({ engineUrl, engine, version, models: names }, 'engine attached');
    this.renewOffers({ tell: 'always' });
  }

  /** U3. What the engine said nothing of; its offers get what is found. */
  private async askAgain(signal: AbortSignal): Promise<void> {
    await this.askForRoutes(signal);
    // Each ends by itself or with the engine; what it finds is told as a change of offers.
    for (const served of this.served.values()) void this.extendAbilities(served);
  }

  private async askForRoutes(signal: AbortSignal): Promise<void> {
    const { reach } = this;
    if (reach.kind !== 'up' || areRoutesKnown(reach.routes)) return;
    const routes = await probeRoutes(this.target, { known: reach.routes, signal });
    // It may have been lost meanwhile.
    if (this.reach !== reach) return;
    this.reach = { ...reach, routes };
    const found = shownBy(routes).filter((ability) => !shownBy(reach.routes).includes(ability));
    if (found.length === 0) return;
    for (const served of this.served.values()) {
      const { offer: from } = served;
      if (from !== undefined) this.renew(served, { from, found: { abilities: found } });
    }
  }

  private async readNumbers(signal: AbortSignal): Promise<void> {
    const served = [...this.served.values()].flatMap(({ offer }) => offer?.engineModel ?? []);
    await this.numbers.refresh([...new Set(served)], signal);
  }

  private lose(detail: string): void {
    this.numbers.reset();
    const wasUp = this.reach.kind === 'up';
    const engineUrl = this.options.address.shown;
    if (this.reach.kind !== 'down') {
      this.options.log.warn({ engineUrl, detail }, 'engine not reachable, probing on');
    }
    this.reach = { kind: 'down', detail };
    if (wasUp) this.renewOffers();
  }

  /**
   * Makes offers what the reach allows (U2). `tell: 'always'`: what failed to load may work now.
   */
  private renewOffers({ tell }: { tell: 'changes' | 'always' } = { tell: 'changes' }): void {
    let changed = tell === 'always';
    for (const served of this.served.values()) {
      const engineModel = this.engineModelFor(served.desired);
      if (served.offer?.engineModel === engineModel?.id) continue;
      changed = true;
      served.offer = undefined;
      if (engineModel === undefined) continue;
      const offer = this.newOffer(served, engineModel);
      const beyondText: BeyondText = { phase: 'resting', known: new Map(), rounds: 0 };
      served.offer = { engineModel: engineModel.id, offer, beyondText };
      // Ends by itself or with the engine; what it finds is told as a change of offers.
      void this.extendAbilities(served);
    }
    if (changed) this.onOffersChange?.();
  }

  private newOffer(served: Served, engineModel: EngineModel): EngineOffer {
    if (this.reach.kind !== 'up') throw new Error('an offer of an engine that is not up');
    const { facts, routes } = this.reach;
    const contextLength = engineModel.contextLength ?? facts.contextLength;
    return {
      instance: newId('inst', this.options.random),
      modelId: served.desired.modelId,
      slots: this.options.slots ?? facts.slots ?? defaultUrlSlots,
      engine: facts.engine,
      ...(facts.version === undefined ? {} : { engineVersion: facts.version.slice(0, 128) }),
      ...(contextLength === undefined ? {} : { contextLength }),
      ...(facts.holdsTokens === undefined ? {} : { holdsTokens: facts.holdsTokens }),
      abilities: shownBy(routes),
    };
  }

  /**
   * As a probe: what comes of it says nothing of the engine's reach. Undefined also where the
   * engine had something else to do for us meanwhile: that is not its speed.
   */
  private async timeAnswer({ engineModel, offer }: Offered): Promise<EngineSpeed | undefined> {
    const { clock } = this.options;
    const { begun } = this;
    if (this.running.size > 0) return undefined;
    const { dispatcher, prefix, headers: given } = this.target;
    const headers = { ...given, 'user-agent': probeUserAgent };
    const run = async (
      request: EngineRequest,
      sink: EngineSink,
      signal: AbortSignal,
    ): Promise<EngineEnd> => {
      const body = this.bodyFor(request, engineModel);
      const path = prefix + request.path;
      const call = { dispatcher, clock, path, headers, body, stream: true, sink, signal };
      return (await callEngine(call)).end;
    };
    const of = { instance: offer.instance, clock, signal: this.stopping.signal };
    const speed = await probeSpeed(run, of);
    return this.begun === begun ? speed : undefined;
  }

  /** Probes beyond plain text while the model already serves: what is not known of it (U3). */
  private async extendAbilities(served: Served): Promise<void> {
    const probed = served.offer;
    if (probed === undefined || !probed.offer.abilities.includes('chat')) return;
    const { engineModel, beyondText } = probed;
    const isDone = areAbilitiesKnown(beyondText.known) || beyondText.rounds >= maxAbilityRounds;
    if (isDone || beyondText.phase === 'asking') return;
    beyondText.phase = 'asking';
    beyondText.rounds += 1;
    const asked = { engineModel, known: beyondText.known, signal: this.stopping.signal };
    beyondText.known = await probeAbilities(this.target, asked);
    beyondText.phase = 'resting';
    const abilities = shownBy(beyondText.known);
    if (abilities.length > 0) this.renew(served, { from: probed, found: { abilities } });
    // Abilities first: somebody may wait for them, and an engine that is busy takes its time.
    const { offer } = served;
    if (offer?.offer.instance !== probed.offer.instance) return;
    const speed = await this.timeAnswer(offer);
    if (speed !== undefined) this.renew(served, { from: offer, found: { speed } });
  }

  /** What was found out about an offer that is still there: abilities beyond those that it has. */
  private renew(
    served: Served,
    { from, found }: { from: Offered; found: Partial<EngineOffer> },
  ): void {
    const { offer: now } = served;
    if (now?.offer.instance !== from.offer.instance || this.stopping.signal.aborted) return;
    const abilities = [...new Set([...now.offer.abilities, ...(found.abilities ?? [])])];
    served.offer = { ...now, offer: { ...now.offer, ...found, abilities } };
    this.onOffersChange?.();
  }

  /** U1: the owner's name for it, else the very same name. */
  private engineModelFor(desired: DesiredModel): EngineModel | undefined {
    if (this.reach.kind !== 'up') return undefined;
    const id = this.options.serve.get(desired.name) ?? desired.name;
    return this.reach.models.find((model) => model.id === id);
  }

  /** Why a model has no offer, with the option that would cure it. */
  private whyNot(desired: DesiredModel): string {
    const { shown } = this.options.address;
    if (this.reach.kind !== 'up') {
      const detail = this.reach.kind === 'down' ? this.reach.detail : 'not asked yet';
      return `The engine at ${shown} is not reachable (${detail}); it is probed on.`;
    }
    const ids = this.reach.models.map(({ id }) => id);
    const mapped = this.options.serve.get(desired.name);
    const wanted = mapped ?? desired.name;
    const others = ids.slice(0, 8).join(', ') || 'no model at all';
    if (mapped === undefined && ids.length === 1) {
      return (
        `The engine at ${shown} serves "${others}", not "${wanted}". If they are the same model, ` +
        `start the agent with --serve '${wanted}=${others}'.`
      );
    }
    const how = mapped === undefined ? ` Name it with --serve '${wanted}=ENGINE_ID'.` : '';
    return `The engine at ${shown} serves ${others}, but not "${wanted}".${how}`;
  }
}
