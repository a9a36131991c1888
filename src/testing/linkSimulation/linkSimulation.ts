/**
 * A fleet in virtual time from a seed: the real router, the real link at both ends and the real
 * agent from its token to its engine, over transports in memory. Two projects, own and shared
 * agents, clients that hang up or do not read, and everything around them breaks: links, agents,
 * engines, keys, budgets, store, journal, the router itself. `invariants.ts` is the oracle. A
 * failure names the seed, and the seed repeats the run to the last frame (`digest`).
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { newIdentity } from '../../agent/joining/identity.ts';
import type { AgentEntry, EndpointEntry } from '../../domain/directory.ts';
import { randomInt, seededRandom, type Random } from '../../lib/random.ts';
import { decodeFrames, frameType } from '../../protocol/wire/frame.ts';
import { createMemoryPair, type MemoryPair } from '../../protocol/memoryTransport.ts';
import type { InferenceRequest, Outcome, SubmitResult } from '../../router/ports.ts';
import type { Router } from '../../router/router.ts';
import { FakeClock } from '../fakeClock.ts';
import { agentEntry, apiKeyEntry, modelEntry, projectEntry } from '../router/directoryEntries.ts';
import { MemoryPorts } from '../router/routerHarness.ts';
import {
  checkEnd,
  checkMoment,
  checkPlace,
  checkQueue,
  checkRun,
  type Watched,
} from './invariants.ts';
import {
  loseUnsafe,
  orphan,
  SimulatedClient,
  type AtArrival,
  type Call,
} from './simulatedClient.ts';
import type { Served } from './simulatedEngine.ts';
import { drawFault } from './simulatedFaults.ts';
import { SimulatedMachine, type MachineWorld, type TokenAnswer } from './simulatedMachine.ts';
import { SimulatedServer } from './simulatedServer.ts';
import { endpoints, keys, loadTimes, owners, routerConfig } from './simulatedSetting.ts';
import { bodyOf, type SimulatedOrder } from './simulatedText.ts';
import { WatchedTransport } from './watchedTransport.ts';
import { WireBook } from './wireBook.ts';

export interface SimulationReport {
  seed: number;
  requests: number;
  faults: Record<string, number>;
  virtualMs: number;
  outcomes: Partial<Record<Outcome, number>>;
  stages: Record<'own' | 'shared', number>;
  /** Of everything that happened, in its order and at its time. */
  digest: string;
}

const runMs = 60_000;
const stepMs = 100;
const arrivals = 64;
const fewestFaults = 8;
/** After the last fault everything has so long to end by itself. */
const settleMs = 140_000;
const tokenLifeMs = 60_000;
const keptTrace = 80;
/** Where requests go, by weight. */
const visits = ['a', 'a', 'a', 'b', 'b', 'b', 'closed', 'apart', 'shared', 'shared', 'slow', 'vm'];

export class LinkSimulation {
  readonly clock = new FakeClock();
  readonly random: Random;
  readonly server: SimulatedServer;
  readonly machines: SimulatedMachine[] = [];
  readonly calls = new Map<string, Call>();
  /** Those that had no outcome when it was looked last. */
  private readonly open = new Set<Call>();
  readonly committed = new Map<string, { entry: AgentEntry; atMs: number }>();
  readonly faults: Record<string, number> = {};
  private readonly seed: number;
  private readonly wire: WireBook;
  private readonly granted = new Map<string, Map<string, number>>();
  private readonly served = new Map<string, Served[]>();
  private readonly stages = { own: 0, shared: 0 };
  private readonly hash = createHash('sha256');
  private readonly trace: string[] = [];
  /** Frames that left for agents which the router knew not to be active. */
  private readonly suspects: { requestId: string; agentId: string; atMs: number }[] = [];
  /** The first thing that an observer did not like: it cannot throw where it looks. */
  private broken: Error | undefined;

  constructor(seed: number) {
    this.seed = seed;
    this.random = seededRandom(seed);
    const ports = new MemoryPorts({
      endpoints: Object.values(endpoints),
      apiKeys: Object.values(keys),
      models: [modelEntry(), modelEntry({ id: 'model_slow', name: 'slow' })],
    });
    this.server = new SimulatedServer({
      clock: this.clock,
      random: seededRandom(seed + 1),
      ports,
      config: routerConfig,
    });
    this.wire = new WireBook(
      {
        onOpen: (stream) => this.guard(() => this.onOpen(stream.requestId, stream.agentId)),
        onFirstEvent: ({ requestId }) => {
          const call = this.calls.get(requestId);
          if (call !== undefined) call.firstEventAtMs ??= this.clock.monotonic();
        },
        note: (text) => this.note(text),
      },
      () => this.clock.monotonic(),
    );
  }

  /** Runs it. Rejects with the first thing that does not hold; the message names the seed. */
  async run(): Promise<SimulationReport> {
    try {
      return await this.play();
    } catch (error) {
      const { message } = error as Error;
      const told = `seed ${this.seed}: ${message}\n${this.trace.slice(-keptTrace).join('\n')}`;
      throw new Error(told, { cause: error });
    }
  }

  private async play(): Promise<SimulationReport> {
    this.enrolFleet();
    await this.startServer();
    for (const machine of this.machines) machine.start();
    const plan = this.plan();
    for (let atMs = 0; atMs < runMs; atMs += stepMs) {
      for (const act of plan.get(atMs) ?? []) act();
      await this.step();
    }
    await this.settle();
    return this.report();
  }

  // Time

  private plan(): Map<number, (() => void)[]> {
    const plan = new Map<number, (() => void)[]>();
    const at = (atMs: number, act: () => void): void => {
      const slot = Math.floor(atMs / stepMs) * stepMs;
      plan.set(slot, [...(plan.get(slot) ?? []), act]);
    };
    for (let n = 0; n < arrivals; n += 1) {
      // Two in five come in one burst, so that queues form.
      const atMs = n % 5 < 2 ? 22_000 + this.any(1500) : 1000 + this.any(runMs - 8000);
      at(atMs, () => this.arrive(n));
    }
    const count = fewestFaults + this.any(8);
    for (let n = 0; n < count; n += 1) {
      const fault = drawFault(this.random);
      this.faults[fault.name] = 1 + (this.faults[fault.name] ?? 0);
      at(2000 + this.any(runMs - 8000), () => {
        this.note(`fault ${fault.name}`);
        fault.act(this);
      });
    }
    return plan;
  }

  private async step(): Promise<void> {
    await this.clock.advanceAsync(stepMs);
    // What the last turn queued has left, too.
    await this.clock.advanceAsync(0);
    this.check();
  }

  private check(): void {
    if (this.broken !== undefined) throw this.broken;
    for (const { requestId, agentId, atMs } of this.suspects.splice(0)) {
      const isNews = this.server.heardAtMs.get(agentId) === atMs;
      assert.ok(isNews, `R2: ${requestId} goes to an agent that is not active`);
    }
    this.wire.sweep();
    checkMoment(this.watched());
    for (const call of this.open) if (call.result !== undefined) this.open.delete(call);
  }

  private watched(): Watched {
    const { server, wire, calls, open, clock } = this;
    return {
      open,
      server,
      wire,
      calls,
      nowMs: clock.monotonic(),
      pendingTimers: clock.pendingTimers,
    };
  }

  private async settle(): Promise<void> {
    this.server.ports.storeAway = false;
    this.server.files.fault = undefined;
    this.server.late = false;
    this.server.swollen = false;
    if (this.server.router === undefined) await this.startServer();
    const isBusy = (): boolean => {
      const audit = this.server.router?.audit();
      return (audit?.requests ?? 1) > 0 || (audit?.openAttempts ?? 0) > 0;
    };
    for (let atMs = 0; atMs < settleMs && isBusy(); atMs += stepMs) await this.step();
    this.check();
    await this.stopServer(0);
    checkEnd({ ...this.watched(), served: this.served });
  }

  // The server

  async startServer(): Promise<void> {
    this.note('router starts');
    const started = this.server.start();
    await this.until(started, 10_000, 'the router never starts');
  }

  /** Whoever calls waits in virtual time, so that nobody waits for ever. */
  async stopServer(drainMs: number): Promise<void> {
    await this.until(this.server.stop(drainMs), 30_000 + drainMs, 'the router never stops');
    this.note('router stopped');
  }

  /** The router's process is killed; whoever was linked or called finds his connection broken. */
  crashServer(): void {
    this.note('router is killed');
    this.server.crash();
    for (const call of this.calls.values()) {
      if (call.result === undefined) orphan(call);
    }
    loseUnsafe(this.calls.values());
    for (const link of this.wire.links) link.die();
  }

  private async until(work: Promise<void>, withinMs: number, why: string): Promise<void> {
    let isOver = false;
    const over = work.then(() => (isOver = true));
    for (let ms = 0; !isOver && ms < withinMs; ms += 10) await this.clock.advanceAsync(10);
    assert.ok(isOver, why);
    await over;
  }

  // The fleet

  private enrolFleet(): void {
    for (const [at, owner] of owners.entries()) {
      const id = `00000000-0000-4000-8000-00000000000${at}`;
      const identity = newIdentity();
      const { publicKey } = identity;
      const entry = { ...owner, id, name: `machine ${at}`, publicKey };
      const slots = 1 + this.any(2);
      const machine = new SimulatedMachine({ entry, identity, slots, world: this.world() });
      this.machines.push(machine);
      this.commitAgent(machine, {});
    }
  }

  /** Changes what the control plane says of an agent. */
  commitAgent(machine: SimulatedMachine, over: Partial<AgentEntry>): void {
    const entry = agentEntry({ ...machine.entry, ...over });
    this.committed.set(machine.id, { entry, atMs: this.clock.monotonic() });
    this.server.ports.commit({ kind: 'agent', id: machine.id, entry }, { hint: true });
  }

  private world(): MachineWorld {
    return {
      clock: this.clock,
      random: this.random,
      loadTimes,
      connect: (machine) => this.connect(machine),
      refresh: (machine) => this.refresh(machine),
      onSent: (machine, message) => this.onAgentSent(machine, message),
      watcher: (machine) => ({
        onRun: ({ requestId, instance, running }) => {
          const granted = this.granted.get(machine.id)?.get(instance) ?? 0;
          this.note(`run ${requestId} on ${machine.id.slice(-2)} ${instance}`);
          this.guard(() => checkRun({ requestId, running, granted }));
        },
        onServed: (served) => {
          const all = this.served.get(served.requestId) ?? [];
          this.served.set(served.requestId, [...all, served]);
        },
      }),
    };
  }

  private connect(machine: SimulatedMachine): MemoryPair | undefined {
    const { router } = this.server;
    if (router === undefined) return undefined;
    const pair = createMemoryPair({ clock: this.clock });
    const rttMs = 1 + this.any(40);
    // Never 0: what is sent in one turn arrives in another moment.
    const jitter = (): number => rttMs / 2 + this.random.float() * 4;
    pair.towardsAgent.delayMs = jitter;
    pair.towardsRouter.delayMs = jitter;
    const link = this.wire.link(machine.id);
    const end = new WatchedTransport(pair.router, {
      onSent: (message) => link.sent(message),
      onReceived: (message) => link.received(message),
      onClosed: () => link.closed(),
    });
    link.heldBytes = () => end.bufferedBytes();
    link.die = () => end.die();
    this.note(`${machine.id.slice(-2)} dials`);
    router.acceptLink(end, { address: '127.0.0.1' });
    return pair;
  }

  private refresh(machine: SimulatedMachine): TokenAnswer | 'away' {
    if (this.server.router === undefined || this.server.ports.storeAway) return 'away';
    const entry = this.committed.get(machine.id)?.entry;
    if (entry?.state === 'dead') return { kind: 'refused', code: 'agent_dead' };
    if (entry?.state === 'suspended') return { kind: 'refused', code: 'agent_suspended' };
    const { ports } = this.server;
    const claims = { agentId: machine.id, nowMs: this.clock.now(), lifeMs: tokenLifeMs };
    return { kind: 'token', accessToken: ports.token(claims), lifeMs: tokenLifeMs };
  }

  /** Keeps what the agent has granted last, over all its processes. */
  private onAgentSent(machine: SimulatedMachine, message: Buffer): void {
    const frames = decodeFrames(message);
    if (typeof frames === 'string') return;
    for (const { type, payload } of frames) {
      if (type !== frameType.grant) continue;
      const { instances } = JSON.parse(payload.toString('utf8')) as {
        instances: { instance: string; slots: number }[];
      };
      const known = this.granted.get(machine.id) ?? new Map<string, number>();
      for (const { instance, slots } of instances) known.set(instance, slots);
      this.granted.set(machine.id, known);
    }
  }

  // Requests

  private arrive(n: number): void {
    const endpoint = endpoints[this.pick(visits)];
    const { router } = this.server;
    if (endpoint === undefined) return;
    if (router === undefined) {
      // Nobody listens: the client tries again.
      this.clock.setTimer(300 + this.any(700), () => this.arrive(n));
      return;
    }
    const call = this.newCall(`req_${this.seed}x${n}`, endpoint);
    const { requestId, client } = call;
    const before = router.stats();
    const result = router.submit(this.requestOf(call, router), client);
    const after = router.stats();
    if (inScheduler(after) > inScheduler(before)) call.atArrival = 'in_scheduler';
    this.guard(() => checkQueue({ before: before.waiting, after: after.waiting }));
    this.calls.set(requestId, call);
    this.open.add(call);
    this.note(`${requestId} comes to ${endpoint.slug}`);
    // Never rejects: `submit` says so.
    void result.then((outcome) => this.onResult(call, outcome));
    if (this.chance(0.12)) this.clock.setTimer(this.any(3000), () => this.hangUp(call));
  }

  private newCall(requestId: string, endpoint: EndpointEntry): Call {
    const stream = this.chance(0.75);
    const isLarge = stream && this.chance(0.03);
    const order: SimulatedOrder = {
      tag: `${requestId}/`,
      pieces: isLarge ? 12 : 1 + this.any(10),
      padding: isLarge ? 40_000 : 0,
      refused: this.chance(0.04),
    };
    const client = new SimulatedClient(() => this.clock.monotonic());
    client.reading = !(isLarge && this.chance(0.5));
    const submittedAtMs = this.clock.monotonic();
    const nothing = { result: undefined, resolved: 0, opens: 0, firstEventAtMs: undefined };
    const well = { hungUp: false, orphaned: false, unsafe: false };
    const begun = { submittedAtMs, atArrival: 'refused' as const, ...nothing, ...well };
    return { requestId, endpoint, order, stream, client, ...begun };
  }

  private requestOf(
    { requestId, endpoint, order, stream }: Call,
    router: Router,
  ): InferenceRequest {
    const { projectId } = endpoint;
    const slug = projectId.slice(-1);
    const key = this.chance(0.1) ? 'tight' : slug;
    const apiKey = keys[`${key}_${slug}`] ?? apiKeyEntry();
    return {
      requestId,
      project: projectEntry({ id: projectId, slug }),
      endpoint: router.directory.endpointById(endpoint.id) ?? endpoint,
      model: modelEntry({ id: endpoint.modelId }),
      apiKey,
      apiKeySha256: apiKey.sha256,
      path: '/v1/chat/completions',
      body: bodyOf(order, stream),
      stream,
      includeUsage: false,
      resume: this.chance(0.6),
      abilities: this.chance(0.04) ? ['chat', 'tools'] : ['chat'],
      maxTokens: null,
      region: null,
      arrivedAtMs: this.clock.monotonic(),
    };
  }

  private onResult(call: Call, result: SubmitResult): void {
    if (call.orphaned) return;
    call.resolved += 1;
    call.result ??= result;
    call.unsafe = this.server.router?.stats().journal !== 'ok' || this.server.diskHangs;
    const turnedAway: readonly Outcome[] = ['journal_unavailable', 'shutting_down'];
    const isAtDoor = call.atArrival === 'refused' && turnedAway.includes(result.outcome);
    if (isAtDoor) call.atArrival = 'turned_away' satisfies AtArrival;
    this.note(`${call.requestId} ends: ${result.outcome}`);
  }

  private hangUp(call: Call): void {
    if (call.result !== undefined) return;
    call.hungUp = true;
    this.note(`${call.requestId} hangs up`);
    call.client.hangUp();
  }

  private onOpen(requestId: string, agentId: string): void {
    const call = this.calls.get(requestId);
    assert.ok(call !== undefined, `R3: an unknown request ${requestId}`);
    call.opens += 1;
    const { router } = this.server;
    const committed = this.committed.get(agentId);
    if (router === undefined || committed === undefined) return;
    const endpoint = router.directory.endpointById(call.endpoint.id) ?? call.endpoint;
    const agent = router.directory.agent(agentId);
    const nowMs = this.clock.monotonic();
    const readableSinceMs = this.server.readableSinceMs;
    // Whether that was news in this very moment is known a little later.
    const isActive = agent?.state === 'enrolled';
    if (!isActive) this.suspects.push({ requestId, agentId, atMs: nowMs });
    const stage = checkPlace({ call, endpoint, agent, committed, readableSinceMs, nowMs });
    this.stages[stage] += 1;
  }

  // Around

  any(bound: number): number {
    return randomInt(this.random, bound);
  }

  chance(share: number): boolean {
    return this.random.float() < share;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.any(items.length)] as Item;
  }

  /** Some time later; nothing of it happens after the run. */
  later(act: () => void, longestMs = 6000): void {
    this.clock.setTimer(500 + this.any(longestMs), act);
  }

  note(text: string): void {
    const line = `${this.clock.monotonic().toFixed(3)} ${text}`;
    this.hash.update(line);
    this.trace.push(line);
    // Twice as many at most, so that few are moved.
    if (this.trace.length > 2 * keptTrace) this.trace.splice(0, keptTrace);
  }

  private guard(look: () => void): void {
    try {
      look();
    } catch (error) {
      this.broken ??= error as Error;
    }
  }

  private report(): SimulationReport {
    const outcomes: Partial<Record<Outcome, number>> = {};
    const count = (outcome: Outcome): void =>
      void (outcomes[outcome] = (outcomes[outcome] ?? 0) + 1);
    for (const { result } of this.calls.values()) if (result !== undefined) count(result.outcome);
    for (const { outcome } of this.server.ports.usageRecords) {
      if (outcome === 'interrupted') count(outcome);
    }
    const { seed, faults, stages } = this;
    return {
      seed,
      requests: this.calls.size,
      faults,
      virtualMs: this.clock.monotonic(),
      outcomes,
      stages,
      digest: this.hash.copy().digest('hex').slice(0, 16),
    };
  }
}

const inScheduler = (stats: { running: number; waiting: number }): number =>
  stats.running + stats.waiting;
