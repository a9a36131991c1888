/**
 * One run: offered requests, a fleet of engines and a router, in virtual time. The router is told
 * what engines do one round trip later; what it decides takes effect at once.
 *
 * Invariants
 * S1 Every offered request ends once, done or failed, and is counted either way.
 * S2 A router is told nothing but `RouterEvent`s, in the order of their times.
 * S3 A request that failed is in no engine and in no queue of the router.
 * S4 The same options and seed give the same run, except for `decisionUs`, which is real time.
 */
import type { Clock } from '../lib/clock.ts';
import { Engine, fits } from './engine/engine.ts';
import { EventQueue } from './eventQueue.ts';
import type { Fault } from './faultSpec.ts';
import type { Machine } from './fleetSpec.ts';
import { blockTokens, heartbeatMs, kvTokens, maxSequences, roundTripMs } from './limits.ts';
import type { InstanceFacts, RouterCommand, RouterEvent, SimulatedRouter } from './routerPort.ts';
import { ServiceGaps } from './serviceGaps.ts';
import type { SimulatedRequest } from './simulatedRequest.ts';
import type { TraceRequest } from './traces/traceRequest.ts';

export interface SimulationOptions {
  /** In the order of their arrival. */
  requests: readonly TraceRequest[];
  machines: readonly Machine[];
  faults: readonly Fault[];
  router: SimulatedRouter;
  /** A request without a first byte so long after its arrival has failed; Infinity: never. */
  queueTimeoutMs: number;
  /** For the time that decisions take, which is real. */
  clock: Clock;
  /** Called with how many requests are over, whenever another tenth of them is. */
  progress(over: number, nowMs: number): void;
}

export interface SimulationResult {
  requests: readonly SimulatedRequest[];
  gaps: ServiceGaps;
  /** Of each event that a router was given an arrival with or answered by a dispatch, in µs. */
  decisionUs: readonly number[];
  /** When the last request was over, in ms. */
  endedAtMs: number;
}

interface Place {
  machine: Machine;
  engine: Engine;
  facts: InstanceFacts;
  here: 'here' | 'away';
}

type Untimed<Event> = Event extends unknown ? Omit<Event, 'atMs'> : never;

export class Simulation {
  private readonly options: SimulationOptions;
  private readonly queue = new EventQueue();
  private readonly places: Place[];
  private readonly requests: SimulatedRequest[];
  private readonly gaps: ServiceGaps;
  private readonly decisionUs: number[] = [];
  private timer = 0;
  private over = 0;
  private endedAtMs = 0;

  constructor(options: SimulationOptions) {
    this.options = options;
    const { requests, machines } = options;
    this.gaps = new ServiceGaps(new Set(requests.map(({ tenant }) => tenant)).size);
    this.requests = requests.map((offered, id) => ({
      id,
      offered,
      phase: 'waiting',
      dispatch: null,
      firstByteAtMs: null,
      endAtMs: null,
      cachedTokens: null,
    }));
    this.places = machines.map((machine, id) => ({
      machine,
      engine: this.engineOf(machine),
      facts: { id, hardware: machine.hardware, slots: maxSequences, kvTokens },
      here: 'here',
    }));
  }

  run(): SimulationResult {
    for (const [at, place] of this.places.entries()) {
      this.tell({ type: 'join', instance: place.facts });
      this.beatAt(place, (heartbeatMs * (at + 1)) / this.places.length);
    }
    for (const fault of this.options.faults) this.plan(fault);
    this.arriveNext(0);
    while (this.over < this.requests.length && this.queue.runNext());
    const { requests, gaps, decisionUs, endedAtMs } = this;
    return { requests, gaps, decisionUs, endedAtMs };
  }

  // Requests

  /** One arrival asks for the next, so that the queue of events stays short. */
  private arriveNext(id: number): void {
    const request = this.requests[id];
    if (request === undefined) return;
    this.queue.at(request.offered.atMs, () => {
      this.arriveNext(id + 1);
      this.arrive(request);
    });
  }

  private arrive(request: SimulatedRequest): void {
    const { id, offered } = request;
    this.gaps.waits(offered.tenant);
    // No machine could ever hold it; a router would be told so by the first that it asks.
    if (!fits(offered)) return this.fail(request);
    const { queueTimeoutMs } = this.options;
    if (queueTimeoutMs < Infinity) {
      this.queue.at(offered.atMs + queueTimeoutMs, () => this.expire(request));
    }
    const { tenant, inputTokens, blocks } = offered;
    const arrived = { id, tenant, inputTokens, blocks, blockTokens };
    this.tell({ type: 'arrive', request: arrived });
  }

  private expire(request: SimulatedRequest): void {
    if (request.phase !== 'waiting' && request.phase !== 'dispatched') return;
    const { phase, dispatch } = request;
    this.fail(request);
    const hangUp = (): void => this.tell({ type: 'hang_up', request: request.id });
    if (phase === 'waiting' || dispatch === null) return hangUp();
    // S3: its machine lets it go at once, and says so.
    this.places[dispatch.machine]?.engine.cancel(request.id);
    this.later(hangUp);
  }

  private fail(request: SimulatedRequest): void {
    if (request.cachedTokens === null) this.gaps.waitsNot(request.offered.tenant);
    request.phase = 'failed';
    this.end();
  }

  private end(): void {
    this.over += 1;
    this.endedAtMs = this.queue.nowMs;
    const all = this.requests.length;
    const tenth = Math.floor((10 * this.over) / all);
    if (tenth > Math.floor((10 * (this.over - 1)) / all)) {
      this.options.progress(this.over, this.queue.nowMs);
    }
  }

  // What engines say

  private engineOf({ slowness }: Machine): Engine {
    return new Engine({
      slowness,
      listener: {
        admitted: (id, cachedTokens) => this.admitted(id, cachedTokens),
        firstToken: (id) => this.later(() => this.firstByte(id)),
        finished: (id) => this.later(() => this.finished(id)),
      },
    });
  }

  private admitted(id: number, cachedTokens: number): void {
    const request = this.requests[id] as SimulatedRequest;
    const { tenant, inputTokens } = request.offered;
    this.gaps.served(tenant, { uncached: inputTokens - cachedTokens, cached: cachedTokens });
    if (request.cachedTokens === null) this.gaps.waitsNot(tenant);
    request.cachedTokens = cachedTokens;
  }

  private firstByte(id: number): void {
    const request = this.requests[id] as SimulatedRequest;
    if (request.phase !== 'dispatched') return;
    request.phase = 'streaming';
    request.firstByteAtMs = this.queue.nowMs;
    this.tell({ type: 'first_byte', request: id });
  }

  private finished(id: number): void {
    const request = this.requests[id] as SimulatedRequest;
    if (request.phase !== 'streaming') return;
    const { tenant, inputTokens, outputTokens } = request.offered;
    request.phase = 'done';
    request.endAtMs = this.queue.nowMs;
    this.gaps.served(tenant, { output: outputTokens });
    this.end();
    const usage = { inputTokens, cachedTokens: request.cachedTokens ?? 0, outputTokens };
    this.tell({ type: 'end', request: id, usage });
  }

  /** Steps of a machine, one after the other, until it has nothing to do. */
  private keepStepping(place: Place): void {
    const { engine } = place;
    const { endsAtMs } = engine;
    if (endsAtMs === Infinity) return;
    this.queue.at(endsAtMs, () => {
      // A machine that went away has no step that ends now.
      if (place.engine !== engine || engine.endsAtMs !== endsAtMs) return;
      engine.finishStep();
      this.keepStepping(place);
    });
  }

  // What the router says

  private tell(event: Untimed<RouterEvent>): void {
    const { clock, router } = this.options;
    const before = clock.monotonic();
    const commands = router.handle({ ...event, atMs: this.queue.nowMs });
    const tookUs = (clock.monotonic() - before) * 1_000;
    const decided = event.type === 'arrive' || commands.some(({ type }) => type === 'dispatch');
    if (decided) this.decisionUs.push(tookUs);
    for (const command of commands) this.carryOut(command);
  }

  private carryOut(command: RouterCommand): void {
    switch (command.type) {
      case 'dispatch':
        return this.dispatch(command);
      case 'reject': {
        const request = this.requests[command.request] as SimulatedRequest;
        return request.phase === 'waiting' ? this.fail(request) : undefined;
      }
      case 'set_timer': {
        this.timer += 1;
        const asked = this.timer;
        return this.queue.at(command.atMs, () => {
          if (asked === this.timer) this.tell({ type: 'tick' });
        });
      }
    }
  }

  private dispatch(command: Extract<RouterCommand, { type: 'dispatch' }>): void {
    const request = this.requests[command.request] as SimulatedRequest;
    const place = this.places[command.instance] as Place;
    if (request.phase !== 'waiting') return;
    request.phase = 'dispatched';
    const { predicted } = command;
    request.dispatch = { machine: command.instance, atMs: this.queue.nowMs, predicted };
    if (place.here === 'away') return this.later(() => this.lose(request));
    const idle = place.engine.endsAtMs === Infinity;
    const { inputTokens, outputTokens, blocks } = request.offered;
    place.engine.submit({ id: request.id, inputTokens, outputTokens, blocks }, this.queue.nowMs);
    if (idle) this.keepStepping(place);
  }

  // Machines

  private plan(fault: Fault): void {
    const place = this.places[fault.machine - 1];
    if (place === undefined) return;
    const { slowness } = place.machine;
    const { slowdown } = fault;
    const [begin, end] =
      slowdown === null
        ? [() => this.takeAway(place), () => this.bringBack(place)]
        : [() => place.engine.slowTo(slowness * slowdown), () => place.engine.slowTo(slowness)];
    this.queue.at(fault.fromS * 1_000, begin);
    this.queue.at(fault.toS * 1_000, end);
  }

  private takeAway(place: Place): void {
    place.here = 'away';
    const lost = place.engine.crash();
    this.later(() => {
      for (const id of lost) this.lose(this.requests[id] as SimulatedRequest);
      this.tell({ type: 'leave', instance: place.facts.id });
    });
  }

  private bringBack(place: Place): void {
    place.here = 'here';
    place.engine = this.engineOf(place.machine);
    this.later(() => this.tell({ type: 'join', instance: place.facts }));
  }

  /** Before its first byte it may be tried again; a stream that broke has failed. */
  private lose(request: SimulatedRequest): void {
    if (request.phase === 'dispatched') {
      request.phase = 'waiting';
      request.dispatch = null;
      this.tell({ type: 'failed', request: request.id });
    } else if (request.phase === 'streaming') {
      this.fail(request);
      this.tell({ type: 'hang_up', request: request.id });
    }
  }

  private beatAt(place: Place, atMs: number): void {
    this.queue.at(atMs, () => {
      this.beatAt(place, this.queue.nowMs + heartbeatMs);
      if (place.here === 'away') return;
      const state = place.engine.state();
      this.later(() => this.tell({ type: 'heartbeat', instance: place.facts.id, ...state }));
    });
  }

  /** S2: what a machine says is heard a round trip later. */
  private later(call: () => void): void {
    this.queue.at(this.queue.nowMs + roundTripMs, call);
  }
}
