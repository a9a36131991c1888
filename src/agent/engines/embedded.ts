/**
 * The embedded engine: llama.cpp in this process, through node-llama-cpp, on the CPU. It makes the
 * first run work with nothing else installed.
 *
 * Parts: `embeddedModel.ts` (loading), `embeddedBatch.ts` (continuous batching),
 * `embeddedPrompt.ts` (chat template, tokens), `embeddedRequest.ts` (the body),
 * `embeddedGrammar.ts` (JSON), `embeddedText.ts` (tokens to text), `embeddedAnswer.ts` (one
 * answer). The library is loaded when it is first needed, so that an agent without it can say what
 * to install.
 */
import type { Llama } from 'node-llama-cpp';
import type { Clock } from '../../lib/clock.ts';
import { newId } from '../../lib/ids.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import { CounterRate } from '../health/counterRate.ts';
import { answerRequest } from './embeddedAnswer.ts';
import {
  loadEmbeddedModel,
  sentence,
  type EmbeddedModel,
  type LlamaModule,
} from './embeddedModel.ts';
import type {
  Engine,
  EngineEnd,
  EngineMetrics,
  EngineOffer,
  EngineRequest,
  EngineSink,
  EngineSpeed,
  LoadOutcome,
  LoadProgress,
  LoadRequest,
} from './engine.ts';
import { probeSpeed } from './speedProbe.ts';

export interface EmbeddedEngineOptions {
  /** Loads node-llama-cpp from wherever this machine has it; rejects with a sentence. */
  loadLlama: () => Promise<LlamaModule>;
  clock: Clock;
  random: Random;
  log: Logger;
  /** Takes what llama.cpp says, line by line. */
  engineLine?: EngineLine;
  /** Threads for computing; null = all cores that are good for it but one. */
  threads?: number | null;
  /** Memory that this process may still take, in bytes; a test may say otherwise. */
  availableMemoryBytes?: () => number;
}

/** A line of an engine's own output. */
export type EngineLine = (level: 'debug' | 'info' | 'warn' | 'error', text: string) => void;

interface Loaded {
  offer: EngineOffer;
  model: EmbeddedModel;
  running: Set<Promise<EngineEnd>>;
  /** Aborts what runs on it. */
  closing: AbortController;
  rates: { output: CounterRate; prompt: CounterRate };
}

type Runtime =
  | { kind: 'ready'; library: LlamaModule; llama: Llama; version: string }
  | { kind: 'failed'; message: string };

export function createEmbeddedEngine(options: EmbeddedEngineOptions): Engine {
  return new EmbeddedEngine(options);
}

class EmbeddedEngine implements Engine {
  readonly kind = 'embedded';
  readonly needsFiles = true;
  onOffersChange: (() => void) | undefined;
  private readonly options: EmbeddedEngineOptions;
  private readonly loaded = new Map<string, Loaded>();
  private readonly loading = new Set<Promise<LoadOutcome>>();
  private runtime: Promise<Runtime> | undefined;
  /** Set while llama.cpp itself is in memory. */
  private llama: Llama | undefined;
  private readonly stopping = new AbortController();

  constructor(options: EmbeddedEngineOptions) {
    this.options = options;
  }

  /**
   * Begins and does not wait: where the library must be installed first, that takes minutes, and
   * the owner should see the machine meanwhile. `load` waits for it.
   */
  start(): Promise<void> {
    // Its failures are values; `load` reports them.
    void this.ensureRuntime();
    return Promise.resolve();
  }

  async load(
    request: LoadRequest,
    options: { progress: LoadProgress; signal: AbortSignal },
  ): Promise<LoadOutcome> {
    if (this.loaded.has(request.desired.modelId)) return { kind: 'ready' };
    const signal = AbortSignal.any([options.signal, this.stopping.signal]);
    const loading = this.loadNow(request, { ...options, signal });
    this.loading.add(loading);
    try {
      return await loading;
    } finally {
      this.loading.delete(loading);
    }
  }

  private async loadNow(
    request: LoadRequest,
    options: { progress: LoadProgress; signal: AbortSignal },
  ): Promise<LoadOutcome> {
    const { signal } = options;
    const runtime = await unlessAborted(this.ensureRuntime(), signal);
    if (runtime === 'aborted') return { kind: 'cancelled' };
    if (runtime.kind === 'failed') {
      return { kind: 'failed', message: runtime.message, retry: true };
    }
    try {
      const { clock } = this.options;
      const memory = this.options.availableMemoryBytes ?? (() => process.availableMemory());
      const { library, llama } = runtime;
      const tools = { library, llama, clock, availableMemoryBytes: memory, signal };
      const outcome = await loadEmbeddedModel(request, { ...tools, progress: options.progress });
      if (outcome.kind === 'failed') return outcome;
      const { model } = outcome;
      const instance = newId('eng', this.options.random);
      // The first answer of all is slow: it is better that nobody waits for it.
      const speed = await this.timeAnswer(model, { instance, signal });
      if (signal.aborted) {
        await model.dispose();
        return { kind: 'cancelled' };
      }
      this.offer(request.desired.modelId, model, { instance, speed, version: runtime.version });
      return { kind: 'ready' };
    } catch (error) {
      if (signal.aborted) return { kind: 'cancelled' };
      throw error;
    }
  }

  async unload(modelId: string): Promise<void> {
    const loaded = this.loaded.get(modelId);
    if (loaded === undefined) return;
    this.loaded.delete(modelId);
    this.onOffersChange?.();
    await Promise.all(loaded.running);
    await loaded.model.dispose();
  }

  offers(): readonly EngineOffer[] {
    return [...this.loaded.values()].map(({ offer }) => offer);
  }

  run(request: EngineRequest, sink: EngineSink, signal: AbortSignal): Promise<EngineEnd> {
    const loaded = [...this.loaded.values()].find(
      ({ offer }) => offer.instance === request.instance,
    );
    if (loaded === undefined) {
      const detail = 'the model is not loaded any more';
      return Promise.resolve({ kind: 'failed', reason: 'engine_failed', detail });
    }
    const { model, closing, running } = loaded;
    const either = AbortSignal.any([signal, closing.signal]);
    const answer = answerRequest(request, {
      model,
      sink,
      signal: either,
      random: this.options.random,
    });
    running.add(answer);
    // Handled: an answer never rejects (E1).
    void answer.then(() => running.delete(answer));
    return answer;
  }

  metrics(): readonly EngineMetrics[] {
    const nowMs = this.options.clock.monotonic();
    return [...this.loaded.values()].map(({ offer, model, rates }) => {
      const { metrics, runningCount } = model.batch;
      rates.output.note(metrics.output_tokens_total, nowMs);
      rates.prompt.note(metrics.prompt_tokens_total, nowMs);
      const tokensPerSecond = rates.output.perSecond();
      const promptTokensPerSecond = rates.prompt.perSecond();
      return {
        instance: offer.instance,
        running: runningCount,
        // A request without a slot never reaches this engine.
        queued: 0,
        kvCacheUse: metrics.tokens_held / Math.max(1, metrics.tokens_room),
        ...(tokensPerSecond === undefined ? {} : { tokensPerSecond }),
        ...(promptTokensPerSecond === undefined ? {} : { promptTokensPerSecond }),
        metrics: { ...metrics },
      };
    });
  }

  async stop(): Promise<void> {
    this.stopping.abort(new Error('the engine is stopped'));
    for (const { closing } of this.loaded.values()) closing.abort();
    await Promise.all([...this.loaded.keys()].map((modelId) => this.unload(modelId)));
    await Promise.allSettled(this.loading);
    await this.llama?.dispose();
    this.llama = undefined;
  }

  private async timeAnswer(
    model: EmbeddedModel,
    { instance, signal }: { instance: string; signal: AbortSignal },
  ): Promise<EngineSpeed | undefined> {
    if (!model.abilities.includes('chat')) return undefined;
    const { clock, random } = this.options;
    const run = (request: EngineRequest, sink: EngineSink, stop: AbortSignal): Promise<EngineEnd> =>
      answerRequest(request, { model, sink, signal: stop, random });
    return await probeSpeed(run, { instance, clock, signal });
  }

  private offer(
    modelId: string,
    model: EmbeddedModel,
    of: { instance: string; speed: EngineSpeed | undefined; version: string },
  ): void {
    const { instance, speed, version: engineVersion } = of;
    const offer: EngineOffer = {
      instance,
      modelId,
      slots: model.slots,
      engine: 'llama.cpp',
      engineVersion,
      contextLength: model.contextTokens,
      abilities: model.abilities,
      ...(speed && { speed }),
    };
    const closing = new AbortController();
    const rates = { output: new CounterRate(), prompt: new CounterRate() };
    this.loaded.set(modelId, { offer, model, running: new Set(), closing, rates });
    this.onOffersChange?.();
  }

  private ensureRuntime(): Promise<Runtime> {
    this.runtime ??= this.loadRuntime();
    return this.runtime;
  }

  private async loadRuntime(): Promise<Runtime> {
    let library: LlamaModule;
    try {
      library = await this.options.loadLlama();
    } catch (error) {
      // Tried again with the next load: somebody may install it meanwhile.
      this.runtime = undefined;
      const message = error instanceof Error ? error.message : String(error);
      return { kind: 'failed', message: `The embedded engine is not there: ${message}` };
    }
    try {
      const llama = await this.startLlama(library);
      if (this.stopping.signal.aborted) {
        await llama.dispose();
        return { kind: 'failed', message: 'The engine was stopped.' };
      }
      this.llama = llama;
      const release = llama.llamaCppRelease.release;
      const version = `${release} (node-llama-cpp ${await library.getModuleVersion()})`;
      return { kind: 'ready', library, llama, version };
    } catch (error) {
      this.runtime = undefined;
      const message = `The embedded engine does not run on this machine: ${sentence(error)}`;
      return { kind: 'failed', message: `${message} Attach an engine with --engine-url URL.` };
    }
  }

  private onEngineLog(level: string, text: string): void {
    for (const line of text.split('\n')) {
      // Dots are a progress bar, one of them a line.
      if (/^[\s.]*$/.test(line)) continue;
      this.options.log.debug({ source: 'llama.cpp', level, text: line.trim() }, 'engine log');
      this.options.engineLine?.(logLevels[level] ?? 'info', line.trimEnd());
    }
  }

  private async startLlama(library: LlamaModule): Promise<Llama> {
    const { threads } = this.options;
    const llama = await library.getLlama({
      gpu: false,
      build: 'never',
      skipDownload: true,
      progressLogs: false,
      logLevel: library.LlamaLogLevel.info,
      logger: (level, text) => this.onEngineLog(level, text),
    });
    // The threads of one batch wait for each other by spinning. With one on every core, anything
    // else that runs (the router next door, this process's own loop) makes all of them wait: a
    // token then takes seconds instead of milliseconds (`docs/internals/models.md`).
    llama.maxThreads = threads ?? Math.max(1, llama.cpuMathCores - 1);
    return llama;
  }
}

/** llama.cpp's levels, as a log has them. */
const logLevels: Readonly<Record<string, Parameters<EngineLine>[0]>> = {
  fatal: 'error',
  error: 'error',
  warn: 'warn',
  debug: 'debug',
};

/** What the promise gives, or `aborted` as soon as the signal aborts; the work itself goes on. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | 'aborted'> {
  if (signal.aborted) return 'aborted';
  let onAbort = (): void => {};
  const aborted = new Promise<'aborted'>((resolve) => {
    onAbort = () => resolve('aborted');
  });
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
