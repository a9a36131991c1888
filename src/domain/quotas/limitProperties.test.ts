/**
 * Limits against a model that is plainly right: a bucket for each project, to which everything
 * that was set aside or given back is told. After every event of the scheduler: nobody runs whom
 * the model would not let run (no over-admission) or whom a budget stops (L6), nobody waits whom
 * it would (W1), and each reservation belongs to a claim (L1). After the last one, whatever was
 * aborted in whichever phase, nothing is set aside any more and every bucket fills again.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../lib/random.ts';
import {
  agentEntry,
  endpointEntry,
  projectEntry,
  routedRequest,
} from '../../testing/router/directoryEntries.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import type { Dispatch, SchedulerEvent, UntimedEvent } from '../scheduler/schedulerEvents.ts';
import { tierTable } from '../tiers/tiers.ts';

const figures = { requestsPerMinute: 6, tokensPerMinute: 1200, concurrentPerProject: 4 };
const burst = { requests: 9, tokens: 1800 };
const price = { kind: 'per_million_tokens', amount: 1 } as const;
const stop = { scope: 'project', amountMicros: 1, spentMicros: 1 } as const;

/** One bucket, by its history alone. */
class PlainBucket {
  level: number;
  private atMs = 0;
  private readonly burst: number;
  private readonly perMs: number;

  constructor(burstAmount: number, perMinute: number) {
    this.burst = burstAmount;
    this.perMs = perMinute / 60_000;
    this.level = burstAmount;
  }

  at(nowMs: number): number {
    this.level = Math.min(this.burst, this.level + (nowMs - this.atMs) * this.perMs);
    this.atMs = nowMs;
    return this.level;
  }

  change(by: number, nowMs: number): void {
    this.level = Math.min(this.burst, this.at(nowMs) + by);
  }
}

interface Running {
  claim: number;
  requestId: string;
  project: string;
  shared: boolean;
  tokens: number;
  phase: 'before_first_byte' | 'streaming' | 'over';
  charged: 'nothing' | 'reserved';
}

class World {
  readonly scheduler: Scheduler;
  nowMs = 0;
  arrived = 0;
  running: Running[] = [];
  readonly waiting = new Set<string>();
  readonly stopped = new Set<string>();
  readonly sizes = new Map<string, { project: string; tokens: number }>();
  private readonly buckets = new Map<string, { requests: PlainBucket; tokens: PlainBucket }>();

  constructor(seed: number) {
    const free = { ...figures, price };
    const tiers = tierTable({ free, self_hosted: { concurrentPerProject: 3 } });
    this.scheduler = new Scheduler({ random: seededRandom(seed), config: { tiers } });
    for (const [id, projectId, slots] of [
      ['own', 'a', 5],
      ['shared1', null, 4],
      ['shared2', null, 8],
    ] as const) {
      const effectiveTiers = projectId === null ? ['free' as const] : ['self_hosted' as const];
      this.send({ type: 'agent', entry: agentEntry({ id, projectId, effectiveTiers }) });
      this.send({ type: 'join', agentId: id, nonce: 'n' });
      const instances = [{ instance: 'i', modelId: 'model_a', slots, abilities: [] }];
      this.send({ type: 'grant', agentId: id, nonce: 'n', instances });
    }
  }

  send(event: UntimedEvent): void {
    const commands = this.scheduler.handle({ ...event, atMs: this.nowMs } as SchedulerEvent);
    for (const command of commands) {
      if (command.type === 'dispatch') this.started(command);
      if (command.type === 'reject') this.waiting.delete(command.requestId);
    }
    const { claims, reserved, inFlight, claimable } = this.scheduler.audit();
    assert.equal(reserved, claims, 'L1');
    assert.equal(inFlight, this.running.length, 'R5');
    assert.deepEqual(claimable, [], 'W1');
  }

  /** What the model has for a project on `free`. */
  bucketsOf(project: string): { requests: PlainBucket; tokens: PlainBucket } {
    const known = this.buckets.get(project) ?? {
      requests: new PlainBucket(burst.requests, figures.requestsPerMinute),
      tokens: new PlainBucket(burst.tokens, figures.tokensPerMinute),
    };
    this.buckets.set(project, known);
    return known;
  }

  private started(command: Dispatch): void {
    const { requestId, claim } = command;
    const size = this.sizes.get(requestId);
    assert.ok(size !== undefined && this.waiting.delete(requestId), 'R1');
    const { project, tokens } = size;
    const shared = command.stage === 'shared';
    const beside = this.running.filter((one) => one.project === project && one.shared === shared);
    assert.ok(beside.length < (shared ? figures.concurrentPerProject : 3), 'too many at once');
    if (shared) {
      const { requests, tokens: left } = this.bucketsOf(project);
      assert.ok(!this.stopped.has(project), 'L6: beyond its budget');
      assert.ok(requests.at(this.nowMs) >= 1 - 1e-3, 'over-admission: requests');
      assert.ok(left.at(this.nowMs) >= tokens - 1e-3, 'over-admission: tokens');
      requests.change(-1, this.nowMs);
      left.change(-tokens, this.nowMs);
      const { rates } = command;
      assert.ok(Math.abs((rates.tokens?.remaining ?? 0) - Math.max(0, left.level)) <= 1);
      assert.ok(Math.abs((rates.requests?.remaining ?? 0) - requests.level) <= 1, 'requests');
    }
    const phase = 'before_first_byte';
    this.running.push({ claim, requestId, project, shared, tokens, phase, charged: 'reserved' });
  }

  arrive(project: string, tokens: number): void {
    this.arrived += 1;
    const id = `r${this.arrived}`;
    const [tier, shared] =
      project === 'a' ? (['self_hosted', 'free'] as const) : (['free', null] as const);
    const fallback = { enabled: true, afterMs: project === 'a' ? 500 : 0, tier: shared };
    const endpoint = endpointEntry({ id: `ep_${project}`, projectId: project, tier, fallback });
    // No bytes: what is set aside is what the answer may have, as long as nothing was learned.
    const size = { bodyBytes: 0, maxTokens: tokens };
    this.sizes.set(id, { project, tokens });
    this.waiting.add(id);
    const entry = projectEntry({ id: project });
    this.send({
      type: 'arrive',
      request: routedRequest({ id, endpoint, project: entry, ...size }),
    });
  }

  private settle(one: Running, spent: number | 'nothing' | 'reserved'): void {
    this.running = this.running.filter((other) => other !== one);
    if (!one.shared || spent === 'reserved') return;
    const { requests, tokens } = this.bucketsOf(one.project);
    if (spent === 'nothing') requests.change(1, this.nowMs);
    tokens.change(one.tokens - (spent === 'nothing' ? 0 : spent), this.nowMs);
  }

  /** An end or an abort, in whatever phase the claim is. */
  finish(pick: number, how: { failed: boolean; slotFree: boolean; used: number | null }): void {
    const one = this.running[pick % this.running.length];
    if (one === undefined) return;
    // The input says nothing of bytes, and outputs of 4,096 leave the estimate where it is.
    const usage = how.used === null ? undefined : { input: how.used, output: 4096 };
    const used = usage === undefined ? null : usage.input + usage.output;
    const { claim } = one;
    if (one.phase === 'over') {
      this.settle(one, one.charged === 'nothing' ? 'nothing' : (used ?? 'reserved'));
      return this.send({ type: 'release', claim, usage });
    }
    const failed = how.failed && one.phase === 'before_first_byte';
    one.charged = failed ? 'nothing' : 'reserved';
    one.phase = 'over';
    if (failed) this.waiting.add(one.requestId);
    if (how.slotFree) this.settle(one, failed ? 'nothing' : (used ?? 'reserved'));
    if (failed) this.send({ type: 'failed', claim, slotFree: how.slotFree });
    else this.send({ type: 'end', claim, slotFree: how.slotFree, usage });
  }

  firstByte(pick: number): void {
    const one = this.running[pick % this.running.length];
    if (one?.phase !== 'before_first_byte') return;
    one.phase = 'streaming';
    this.send({ type: 'first_byte', claim: one.claim });
  }

  hangUp(pick: number): void {
    const requestId = [...this.waiting][pick % this.waiting.size];
    if (requestId !== undefined)
      this.send({ type: 'hang_up', requestId, outcome: 'client_closed' });
  }

  /** The budget of a project is used up, or is not any more. */
  budget(project: string, isStopped: boolean): void {
    if (isStopped) this.stopped.add(project);
    else this.stopped.delete(project);
    this.send({ type: 'budget', id: project, stop: isStopped ? stop : null });
    const theirs = [...this.waiting].filter((id) => this.sizes.get(id)?.project === 'b');
    if (this.stopped.has('b')) assert.deepEqual(theirs, [], 'L6: nobody else can serve them');
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.send({ type: 'tick' });
  }
}

const pick = fc.nat(50);
type Step = (world: World) => void;
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(fc.constantFrom('a', 'b'), fc.constantFrom(1, 50, 300, 1000, 1800, 1801))
      .map(
        (all): Step =>
          (world) =>
            world.arrive(...all),
      ),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        pick,
        fc.record({
          failed: fc.boolean(),
          slotFree: fc.boolean(),
          used: fc.option(fc.constantFrom(0, 40, 3000)),
        }),
      )
      .map(
        (all): Step =>
          (world) =>
            world.finish(...all),
      ),
  },
  {
    weight: 2,
    arbitrary: pick.map(
      (at): Step =>
        (world) =>
          world.firstByte(at),
    ),
  },
  {
    weight: 1,
    arbitrary: pick.map(
      (at): Step =>
        (world) =>
          world.hangUp(at),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom('a', 'b'), fc.boolean()).map(
      (all): Step =>
        (world) =>
          world.budget(...all),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(1, 137, 999, 5000, 20_000).map(
      (ms): Step =>
        (world) =>
          world.pass(ms),
    ),
  },
);

test('L1: a reservation leaks in some order of aborts, or more is given out than there is', () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 150, size: 'max' }), fc.nat(), (sequence, seed) => {
      const world = new World(seed);
      for (const apply of sequence) apply(world);
      for (const project of ['a', 'b']) world.budget(project, false);
      world.pass(31_000);
      assert.equal(world.waiting.size, 0, 'somebody waits for ever');
      const usage = { failed: false, slotFree: true, used: 0 };
      while (world.running.length > 0) world.finish(0, usage);
      assert.equal(world.scheduler.audit().reserved, 0, 'L1: something stays set aside');
      // Longer than the deepest debt takes.
      world.pass(24 * 3_600_000);
      world.arrive('b', 1000);
      const [last] = world.running;
      assert.ok(last?.shared === true, 'a bucket never fills again');
      assert.equal(Math.round(world.bucketsOf('b').tokens.level), burst.tokens - 1000);
    }),
    { numRuns: 400 },
  );
});
