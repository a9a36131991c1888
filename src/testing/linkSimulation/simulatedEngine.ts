/**
 * An engine in virtual time: it says what `simulatedText.ts` says, at its own pace and in its own
 * cuts, and breaks in the ways of real ones. It counts what runs, which is what A1 is judged by.
 */
import type {
  Engine,
  EngineEnd,
  EngineMetrics,
  EngineOffer,
  EngineRequest,
  EngineSink,
  LoadOutcome,
  LoadRequest,
} from '../../agent/engines/engine.ts';
import { randomInt, type Random } from '../../lib/random.ts';
import type { ProcessClock } from './processClock.ts';
import { orderIn, pieceOf, wholeText } from './simulatedText.ts';

/**
 * `hung`: takes requests and never answers. `failing`: answers each with a 5xx. `stalling`: begins
 * and says nothing more. `malformed`: breaks off in the middle of an event.
 */
export type EngineMood = 'well' | 'hung' | 'failing' | 'stalling' | 'malformed';

/** What became of a request at the engine. */
export interface Served {
  requestId: string;
  input: number;
  output: number;
}

export interface EngineWatcher {
  /** A request is about to run, as the n-th one on its instance. */
  onRun(request: { requestId: string; instance: string; running: number }): void;
  /** The engine completed it with these numbers. */
  onServed(served: Served): void;
}

/** How long a model takes to load, by its id, in ms. */
export type LoadTimes = Readonly<Record<string, number>>;

const inputTokens = 9;

export class SimulatedEngine implements Engine {
  readonly kind = 'embedded' as const;
  readonly needsFiles = true;
  onOffersChange: (() => void) | undefined;
  mood: EngineMood = 'well';
  private readonly clock: ProcessClock;
  private readonly random: Random;
  private readonly slots: number;
  private readonly loadTimes: LoadTimes;
  private readonly watcher: EngineWatcher;
  private loaded: EngineOffer[] = [];
  private readonly running = new Map<string, number>();
  private readonly process: string;
  private starts = 0;

  constructor(options: {
    clock: ProcessClock;
    random: Random;
    slots: number;
    loadTimes: LoadTimes;
    watcher: EngineWatcher;
    /** Names this start of the agent: instances are never named twice. */
    process: string;
  }) {
    this.clock = options.clock;
    this.random = options.random;
    this.slots = options.slots;
    this.loadTimes = options.loadTimes;
    this.watcher = options.watcher;
    this.process = options.process;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  async load({ desired }: LoadRequest, { signal }: { signal: AbortSignal }): Promise<LoadOutcome> {
    await this.rest(this.loadTimes[desired.modelId] ?? 0);
    if (signal.aborted) return { kind: 'cancelled' };
    this.offer(desired.modelId);
    return { kind: 'ready' };
  }

  unload(modelId: string): Promise<void> {
    this.loaded = this.loaded.filter((one) => one.modelId !== modelId);
    this.onOffersChange?.();
    return Promise.resolve();
  }

  /** The engine starts anew: what was loaded is gone, and what ran has failed. */
  lose(): void {
    this.starts += 1;
    this.loaded = [];
    this.onOffersChange?.();
  }

  offers(): readonly EngineOffer[] {
    return this.loaded;
  }

  metrics(): readonly EngineMetrics[] {
    return this.loaded.map(({ instance }) => {
      return { instance, running: this.running.get(instance) ?? 0 };
    });
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  /** Requests that run on it now. */
  get active(): number {
    return [...this.running.values()].reduce((sum, count) => sum + count, 0);
  }

  async run(request: EngineRequest, sink: EngineSink, signal: AbortSignal): Promise<EngineEnd> {
    const { instance, requestId } = request;
    const running = (this.running.get(instance) ?? 0) + 1;
    this.running.set(instance, running);
    this.watcher.onRun({ requestId, instance, running });
    try {
      return await this.answer(request, sink, signal);
    } finally {
      this.running.set(instance, (this.running.get(instance) ?? 1) - 1);
    }
  }

  private offer(modelId: string): void {
    const instance = `${modelId}-${this.process}.${this.starts}`;
    const { slots } = this;
    const abilities = ['chat', 'continue'];
    if (this.loaded.some((one) => one.instance === instance)) return;
    this.loaded.push({ instance, modelId, slots, engine: 'simulated', abilities });
    this.onOffersChange?.();
  }

  private async answer(
    request: EngineRequest,
    sink: EngineSink,
    signal: AbortSignal,
  ): Promise<EngineEnd> {
    const { order, said } = orderIn(request.body);
    const { starts } = this;
    // Its mood now and then changes for one request alone.
    const mood = this.chance(0.03)
      ? this.pick(['hung', 'stalling', 'malformed'] as const)
      : this.mood;
    if (mood === 'hung') return this.hang(signal);
    if ((await this.pause(20 + this.any(200), signal)) === 'aborted') return this.letGo();
    if (mood === 'failing') return failed('it answered 503');
    if (order.refused) {
      return { kind: 'refused', status: 400, error: { message: 'not that', type: 'made_up' } };
    }
    const text = wholeText(order);
    if (!text.startsWith(said)) return failed('what is to be continued is not its text');
    const pieces = this.cut(text.slice(said.length), order);
    const breaksAt = mood === 'well' ? Infinity : 1 + this.any(3);
    for (const [at, piece] of pieces.entries()) {
      if (at >= breaksAt && mood === 'malformed') return failed('an event was no JSON');
      if (at >= breaksAt) return this.hang(signal);
      if (this.starts !== starts) return failed('the engine is gone');
      if (request.stream) await this.say(sink, delta(piece, at === 0));
      if (signal.aborted) return this.letGo();
      if ((await this.pause(10 + this.any(160), signal)) === 'aborted') return this.letGo();
    }
    const served = { requestId: request.requestId, input: inputTokens, output: order.pieces };
    this.watcher.onServed(served);
    if (request.stream) await this.say(sink, stop);
    else sink.write(whole(text));
    return { kind: 'completed', usage: { input: inputTokens, cached: 1, output: order.pieces } };
  }

  /** The text in pieces: mostly those that it is made of, sometimes two in one. */
  private cut(text: string, order: { pieces: number; tag: string; padding: number }): string[] {
    const whole = Array.from({ length: order.pieces }, (_, n) =>
      pieceOf({ ...order, refused: false }, n),
    );
    const pieces: string[] = [];
    let at = text.length;
    for (const piece of whole.toReversed()) {
      if (at === 0) break;
      const from = Math.max(0, at - piece.length);
      pieces.unshift(text.slice(from, at));
      at = from;
    }
    if (pieces.length > 1 && this.chance(0.2)) pieces.splice(0, 2, pieces.slice(0, 2).join(''));
    return pieces;
  }

  private async say(sink: EngineSink, event: Record<string, unknown>): Promise<void> {
    if (!sink.write(event)) await sink.writable();
  }

  /** Says nothing until nobody wants it any more. */
  private async hang(signal: AbortSignal): Promise<EngineEnd> {
    if (!signal.aborted) {
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    return this.letGo();
  }

  /** After a cancel: at once, most of the time. */
  private async letGo(): Promise<EngineEnd> {
    const slow = this.random.float();
    if (slow < 0.25) await this.rest(this.any(3000));
    else if (slow < 0.3) await this.rest(9_000 + this.any(8_000));
    return { kind: 'cancelled' };
  }

  private rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.setTimer(ms, () => resolve());
    });
  }

  private pause(ms: number, signal: AbortSignal): Promise<'elapsed' | 'aborted'> {
    if (signal.aborted) return Promise.resolve('aborted');
    return new Promise((resolve) => {
      const onAbort = (): void => {
        timer.cancel();
        resolve('aborted');
      };
      const timer = this.clock.setTimer(ms, () => {
        signal.removeEventListener('abort', onAbort);
        resolve('elapsed');
      });
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  private any(bound: number): number {
    return randomInt(this.random, bound);
  }

  private chance(share: number): boolean {
    return this.random.float() < share;
  }

  private pick<Item>(items: readonly Item[]): Item {
    return items[this.any(items.length)] as Item;
  }
}

const failed = (detail: string): EngineEnd => ({ kind: 'failed', reason: 'engine_failed', detail });

function delta(content: string, first: boolean): Record<string, unknown> {
  const role = first ? { role: 'assistant' } : {};
  return { choices: [{ index: 0, delta: { ...role, content }, finish_reason: null }] };
}

const stop = { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] };

function whole(content: string): Record<string, unknown> {
  const message = { role: 'assistant', content };
  return { choices: [{ index: 0, message, finish_reason: 'stop' }] };
}
