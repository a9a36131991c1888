/**
 * A fake agent before the simulator's model of an engine, kept in the time of a clock: real or
 * moved by a test. What it is asked is found by the request's id; the bytes are looked at by
 * nobody.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import { Engine } from '../../sim/engine/engine.ts';
import type { TraceRequest } from '../../sim/traces/traceRequest.ts';
import type { FakeAgent, Script } from '../links/fakeAgent.ts';

type FakeRequest = FakeAgent['requests'][number];

/** A stream says something so often, so that nobody takes it for stalled: ms. */
const aliveMs = 4_000;

interface Running {
  request: FakeRequest;
  asked: TraceRequest;
  cachedTokens: number;
  alive: Timer | undefined;
}

export class ModelledAgent {
  /** What its fake agent does with a request. */
  readonly script: Script;
  private readonly clock: Clock;
  private readonly engine: Engine;
  private readonly running = new Map<number, Running>();
  private timer: Timer | undefined;
  private nextId = 1;

  constructor(options: {
    clock: Clock;
    slowness: number;
    asked: (requestId: string) => TraceRequest | undefined;
  }) {
    const { clock, slowness, asked } = options;
    this.clock = clock;
    this.engine = new Engine({
      slowness,
      listener: {
        admitted: (id, cachedTokens) => this.admitted(id, cachedTokens),
        firstToken: (id) => this.firstToken(id),
        finished: (id) => this.finished(id),
      },
    });
    this.script = (request) => {
      const found = asked(request.message.requestId);
      if (found === undefined) return request.stream.reset('internal');
      this.take(request, found);
    };
  }

  stop(): void {
    this.timer?.cancel();
    for (const { alive } of this.running.values()) alive?.cancel();
  }

  private take(request: FakeRequest, asked: TraceRequest): void {
    const id = this.nextId;
    this.nextId += 1;
    this.running.set(id, { request, asked, cachedTokens: 0, alive: undefined });
    request.whenReset(() => {
      this.over(id);
      this.engine.cancel(id);
      request.stream.reset('cancelled');
    });
    this.catchUp();
    const { inputTokens, outputTokens, blocks } = asked;
    this.engine.submit({ id, inputTokens, outputTokens, blocks }, this.clock.monotonic());
    this.keepStepping();
  }

  /** A timer that comes late makes no step longer: the model's own times count. */
  private catchUp(): void {
    while (this.engine.endsAtMs <= this.clock.monotonic()) this.engine.finishStep();
  }

  private keepStepping(): void {
    this.timer?.cancel();
    this.catchUp();
    const { endsAtMs } = this.engine;
    if (endsAtMs === Infinity) return;
    const inMs = endsAtMs - this.clock.monotonic();
    this.timer = this.clock.setTimer(inMs, () => this.keepStepping());
  }

  private admitted(id: number, cachedTokens: number): void {
    const running = this.running.get(id);
    if (running !== undefined) running.cachedTokens = cachedTokens;
  }

  private firstToken(id: number): void {
    const running = this.running.get(id);
    if (running === undefined) return;
    running.request.streamHead();
    running.request.event('a');
    this.stayAlive(running);
  }

  private stayAlive(running: Running): void {
    running.alive = this.clock.setTimer(aliveMs, () => {
      running.request.event('b');
      this.stayAlive(running);
    });
  }

  private finished(id: number): void {
    const running = this.over(id);
    if (running === undefined) return;
    const { request, asked, cachedTokens } = running;
    const usage = { input: asked.inputTokens, cached: cachedTokens, output: asked.outputTokens };
    request.done();
    request.finish({ usage });
  }

  private over(id: number): Running | undefined {
    const running = this.running.get(id);
    running?.alive?.cancel();
    this.running.delete(id);
    return running;
  }
}
