/**
 * A fleet in virtual time from a seed: the real router, mux and fake agents over the in-memory
 * transport, two projects, own and shared agents, clients that hang up or do not read, faults on
 * links, agents, keys, store and journal. What must hold is checked while it runs and at its end. A
 * failure names the seed, and the seed repeats the run.
 */
import assert from 'node:assert/strict';
import type { AgentEntry, EndpointEntry } from '../../domain/directory.ts';
import { tierTable } from '../../domain/tiers/tiers.ts';
import { randomInt, seededRandom, type Random } from '../../lib/random.ts';
import type { SubmitResult } from '../../router/ports.ts';
import { apiKeyEntry, endpointEntry, projectEntry } from './directoryEntries.ts';
import {
  eventText,
  type AgentIdentity,
  type FakeRequest,
  type Script,
} from '../links/fakeAgent.ts';
import { FakeClock } from '../fakeClock.ts';
import { FakeClient, MemoryPorts, RouterHarness, type LinkedAgent } from './routerHarness.ts';

export interface SimulationReport {
  seed: number;
  requests: number;
  faults: number;
  virtualMs: number;
  outcomes: Record<string, number>;
  stages: Record<string, number>;
}

const runMs = 60_000;
const stepMs = 50;
const arrivals = 90;
const faults = 12;

/** One machine: its identity outlives its processes and links. */
interface Machine {
  identity: AgentIdentity;
  entry: Partial<AgentEntry>;
  slots: number;
  starts: number;
  linked: LinkedAgent | undefined;
}

interface Call {
  requestId: string;
  project: string;
  stream: boolean;
  client: FakeClient;
  result: SubmitResult | undefined;
  submittedAtMs: number;
}

const noneWaiting = { waitingBytes: 0, waitingProjects: 0 };

const endpoints: Record<string, EndpointEntry> = {
  a: endpointEntry({ id: 'ep_a', projectId: 'proj_a', queueTimeoutMs: 4000 }),
  b: endpointEntry({
    id: 'ep_b',
    projectId: 'proj_b',
    queueTimeoutMs: 6000,
    fallback: { enabled: true, afterMs: 1000, tier: 'free' },
  }),
  closed: endpointEntry({
    id: 'ep_closed',
    slug: 'closed',
    projectId: 'proj_b',
    tier: 'self_hosted',
    queueTimeoutMs: 2000,
    fallback: { enabled: false, afterMs: 0, tier: null },
  }),
};

export class RouterSimulation {
  private readonly random: Random;
  private readonly seed: number;
  private readonly clock = new FakeClock();
  private readonly ports = new MemoryPorts({
    endpoints: Object.values(endpoints),
    apiKeys: [apiKeyEntry(), apiKeyEntry({ id: 'key_b', projectId: 'proj_b', sha256: 'b' })],
  });
  private readonly harness: RouterHarness;
  private readonly machines: Machine[] = [];
  private readonly calls: Call[] = [];
  /** Requests that run on each agent's process now, by machine. */
  private readonly running = new Map<FakeRequest, Machine>();
  private readonly stages: Record<string, number> = { own: 0, shared: 0 };

  constructor(seed: number) {
    this.seed = seed;
    this.random = seededRandom(seed);
    const short = { requestTimeoutMs: 5000, idleStreamTimeoutMs: 4000, concurrentPerProject: 4 };
    const tiers = tierTable({ free: short, cpu_amd_optimized: short, self_hosted: short });
    this.harness = new RouterHarness({
      clock: this.clock,
      ports: this.ports,
      seed,
      config: { tiers, waiting: { maxRequests: 13 } },
    });
  }

  async run(): Promise<SimulationReport> {
    await this.harness.router.start();
    this.enrolFleet();
    await this.clock.advanceAsync(100);
    for (const machine of this.machines) this.startProcess(machine);
    const plan = this.plan();
    for (let nowMs = 0; nowMs < runMs; nowMs += stepMs) {
      for (const act of plan.get(nowMs) ?? []) act();
      await this.clock.advanceAsync(stepMs);
      this.checkMoment();
    }
    this.heal();
    for (let n = 0; n < 800 && this.isBusy(); n += 1) await this.clock.advanceAsync(stepMs);
    await this.checkEnd();
    return this.report();
  }

  // The plan

  private plan(): Map<number, (() => void)[]> {
    const plan = new Map<number, (() => void)[]>();
    const at = (atMs: number, act: () => void): void => {
      const slot = Math.floor(atMs / stepMs) * stepMs;
      plan.set(slot, [...(plan.get(slot) ?? []), act]);
    };
    for (let n = 0; n < arrivals; n += 1) {
      // Two in five come in one burst, so that queues form.
      const burst = n % 5 < 2;
      const atMs = burst ? 20_000 + randomInt(this.random, 2000) : this.any(runMs - 5000);
      at(atMs, () => this.arrive());
    }
    for (let n = 0; n < faults; n += 1) at(this.any(runMs - 5000), () => this.fault());
    return plan;
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

  // The fleet

  private enrolFleet(): void {
    const owners = ['proj_a', 'proj_a', 'proj_b', null, null];
    for (const [at, projectId] of owners.entries()) {
      const id = `00000000-0000-4000-8000-00000000000${at}`;
      const entry = { id, projectId, name: `machine ${at}`, ...tiersOf(projectId) };
      const identity = this.harness.enrol(entry);
      const slots = 1 + this.any(2);
      this.machines.push({ identity, entry, slots, starts: 0, linked: undefined });
    }
  }

  private startProcess(machine: Machine): void {
    machine.starts += 1;
    this.openLink(machine);
  }

  private openLink(machine: Machine): void {
    const { identity, slots, starts } = machine;
    const nonce = `process-${starts}`;
    const script = this.scriptOf(machine);
    const { agentId } = identity;
    const accessToken = this.ports.token({ agentId, nowMs: this.clock.now() });
    const fresh = { ...identity, accessToken };
    machine.linked = this.harness.link({ identity: fresh, nonce, slots, script });
    const { towardsAgent, towardsRouter } = machine.linked.pair;
    const rttMs = 1 + this.any(40);
    towardsAgent.delayMs = () => rttMs / 2;
    towardsRouter.delayMs = () => rttMs / 2;
  }

  // Agents

  /** Each request gets its own fate. */
  private scriptOf(machine: Machine): Script {
    return (request) => {
      this.note(request, machine);
      const fate = this.random.float();
      if (fate < 0.05) return request.stream.reset('engine_failed');
      if (fate < 0.08) return machine.linked?.agent.kill();
      if (fate < 0.11) return; // A hung engine: it never answers.
      if (fate < 0.14) return this.refuseAsEngine(request);
      if (fate < 0.17) request.whenReset(() => {}); // It never confirms a cancel.
      if (request.message.stream) this.streamSlowly(request, { left: 1 + this.any(12), n: 0 });
      else this.answerLater(request);
    };
  }

  private note(request: FakeRequest, machine: Machine): void {
    const call = this.callOf(request.message.requestId);
    const owner = machine.entry.projectId;
    assert.ok(owner === null || owner === call.project, 'R2: work of another project');
    if (call.project === 'proj_b' && request.message.model === 'closed') {
      assert.equal(owner, 'proj_b', 'R2: fallback is off');
    }
    const stage = owner === null ? 'shared' : 'own';
    this.stages[stage] = 1 + (this.stages[stage] ?? 0);
    this.running.set(request, machine);
    request.whenReset(() => request.stream.reset('cancelled'));
  }

  private refuseAsEngine(request: FakeRequest): void {
    request.stream.head({ status: 400, contentType: 'application/json' });
    request.stream.write(Buffer.from('{"error":{}}'));
    this.finish(request);
  }

  private streamSlowly(request: FakeRequest, step: { left: number; n: number }): void {
    if (request.reset !== undefined) return void this.running.delete(request);
    if (step.n === 0) request.streamHead();
    if (step.left === 0) {
      request.done();
      return this.finish(request);
    }
    const stalls = this.chance(0.01);
    request.event(`${request.message.requestId}#${step.n}`);
    if (stalls) return;
    const next = { left: step.left - 1, n: step.n + 1 };
    this.clock.setTimer(20 + this.any(200), () => this.streamSlowly(request, next));
  }

  private answerLater(request: FakeRequest): void {
    this.clock.setTimer(50 + this.any(800), () => {
      if (request.reset !== undefined) return void this.running.delete(request);
      request.stream.head({ status: 200, contentType: 'application/json' });
      request.stream.write(Buffer.from(`{"id":"${request.message.requestId}"}`));
      this.finish(request);
    });
  }

  private finish(request: FakeRequest): void {
    this.running.delete(request);
    request.finish();
  }

  // Clients

  private arrive(): void {
    const endpoint = this.pick(Object.values(endpoints));
    const { projectId } = endpoint;
    const project = projectEntry({ id: projectId, slug: projectId.slice(-1) });
    const client = new FakeClient();
    client.reading = !this.chance(0.05);
    const stream = this.chance(0.7);
    const apiKey = apiKeyEntry({ id: `key_${projectId.slice(-1)}`, projectId });
    const submission = this.harness.submit({ endpoint, project, apiKey, stream }, { client });
    const { requestId } = submission;
    const submittedAtMs = this.clock.monotonic();
    const call: Call = {
      requestId,
      project: projectId,
      stream,
      client,
      result: undefined,
      submittedAtMs,
    };
    this.calls.push(call);
    // Never rejects: `submit` says so.
    void submission.result.then((result) => {
      assert.equal(call.result, undefined, 'R1: resolved twice');
      call.result = result;
    });
    if (this.chance(0.12)) this.clock.setTimer(this.any(3000), () => client.hangUp());
  }

  private callOf(requestId: string): Call {
    const call = this.calls.find((one) => one.requestId === requestId);
    assert.ok(call !== undefined, `R3: an unknown request ${requestId}`);
    return call;
  }

  // Faults

  private fault(): void {
    const machine = this.pick(this.machines);
    const { pair } = machine.linked ?? {};
    const acts: (() => void)[] = [
      () => pair?.cut(),
      () => pair?.towardsRouter.swallow(),
      () => machine.linked?.agent.kill(),
      () => this.startProcess(machine),
      () => this.openLink(machine),
      () => this.suspendForAWhile(machine),
      () => this.storeAwayForAWhile(),
      () => this.journalFailsForAWhile(),
      () => this.holdForAWhile(machine),
      () => this.revokeForAWhile(),
      () => pair?.agent.send(Buffer.from('no frame at all')),
    ];
    this.pick(acts)();
    // A machine that is down comes back, as its supervisor would have it.
    this.clock.setTimer(1000 + this.any(4000), () => this.startProcess(machine));
  }

  private later(act: () => void): void {
    this.clock.setTimer(1000 + this.any(5000), act);
  }

  private suspendForAWhile(machine: Machine): void {
    this.harness.commitAgent(machine.identity, { ...machine.entry, state: 'suspended' });
    this.later(() => this.harness.commitAgent(machine.identity, machine.entry));
  }

  private storeAwayForAWhile(): void {
    this.ports.storeAway = true;
    this.later(() => (this.ports.storeAway = false));
  }

  private journalFailsForAWhile(): void {
    this.harness.files.fault = 'ENOSPC';
    this.later(() => (this.harness.files.fault = undefined));
  }

  private holdForAWhile(machine: Machine): void {
    const towards = machine.linked?.pair.towardsAgent;
    towards?.hold();
    this.later(() => towards?.release());
  }

  private revokeForAWhile(): void {
    const id = this.pick(['key_a', 'key_b']);
    const entry = apiKeyEntry({ id, projectId: `proj_${id.slice(-1)}`, sha256: id });
    this.ports.commit({ kind: 'api_key', id, entry: { ...entry, revoked: true } });
    this.later(() => this.ports.commit({ kind: 'api_key', id, entry }));
  }

  private heal(): void {
    this.ports.storeAway = false;
    this.harness.files.fault = undefined;
    for (const { client } of this.calls) client.reading = true;
    for (const { client } of this.calls) client.drain();
  }

  // Oracles

  private isBusy(): boolean {
    const { requests, openAttempts } = this.harness.router.audit();
    return requests > 0 || openAttempts > 0;
  }

  private checkMoment(): void {
    const { claims, inFlight } = this.harness.router.audit();
    assert.equal(claims, inFlight, 'R5');
    const nowMs = this.clock.monotonic();
    for (const call of this.calls) {
      // Queue, three attempts with their timeouts, a slow client, and the waits between.
      const longestMs = 6000 + 3 * 5000 + 70_000;
      const late = call.result === undefined && nowMs - call.submittedAtMs > longestMs;
      assert.ok(!late, `R1: ${call.requestId} never ends`);
    }
  }

  private async checkEnd(): Promise<void> {
    assert.deepEqual(
      this.harness.router.audit(),
      {
        claims: 0,
        inFlight: 0,
        reserved: 0,
        onLinks: 0,
        openAttempts: 0,
        requests: 0,
        ...noneWaiting,
      },
      'R1: something is left',
    );
    for (const call of this.calls) this.checkCall(call);
    await this.deliverUsage();
    const recorded = this.ports.usageRecords.map((one) => one.requestId).toSorted();
    const accepted = this.calls
      .filter((call) => call.result?.outcome !== 'journal_unavailable')
      .map((call) => call.requestId)
      .toSorted();
    assert.deepEqual(recorded, accepted, 'exactly one record for each accepted request');
  }

  private async deliverUsage(): Promise<void> {
    let stopped = false;
    // It never rejects.
    void this.harness.router.stop().then(() => (stopped = true));
    for (let n = 0; n < 400 && !stopped; n += 1) await this.clock.advanceAsync(stepMs);
    assert.ok(stopped, 'stop never ends');
  }

  private checkCall(call: Call): void {
    const { client, result, requestId } = call;
    assert.ok(result !== undefined, `R1: ${requestId} has no outcome`);
    assert.equal(result.answered, client.status !== undefined || client.destroyed > 0);
    assert.ok(client.ended + client.destroyed <= 1, `R1: ${requestId} ended twice`);
    if (!call.stream || client.status !== 200) return this.checkPiece(call, result);
    const events = client.text.split('\n\n').slice(0, -1);
    const contents = events.filter((event) => event.includes('"choices"'));
    const expected = contents.map((_event, n) => eventText(`${requestId}#${n}`).trimEnd());
    assert.deepEqual(contents, expected, `R3: bytes of ${requestId}`);
    const isError = ['stream_error', 'revoked', 'shutting_down'].includes(result.outcome);
    if (result.outcome === 'completed' || isError) {
      assert.equal(events.at(-1), 'data: [DONE]', `${requestId} ends with ${result.outcome}`);
      assert.equal(events.filter((event) => event === 'data: [DONE]').length, 1);
      assert.equal(events.at(-2)?.includes('"error"') ?? false, isError);
    }
  }

  private checkPiece(call: Call, result: SubmitResult): void {
    const { client, requestId } = call;
    if (result.outcome === 'completed' && client.status === 200) {
      assert.equal(client.text, `{"id":"${requestId}"}`, `R3: bytes of ${requestId}`);
      assert.equal(client.ended, 1);
    }
    if (!result.answered) assert.equal(client.text, '');
  }

  private report(): SimulationReport {
    const outcomes: Record<string, number> = {};
    for (const { result } of this.calls) {
      const { outcome = 'none' } = result ?? {};
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
    const { seed, stages } = this;
    const virtualMs = this.clock.monotonic();
    return { seed, requests: this.calls.length, faults, virtualMs, outcomes, stages };
  }
}

function tiersOf(projectId: string | null): Pick<AgentEntry, 'effectiveTiers'> {
  const own = projectId === null ? 'free' : 'self_hosted';
  return { effectiveTiers: ['cpu_amd_optimized', own] };
}
