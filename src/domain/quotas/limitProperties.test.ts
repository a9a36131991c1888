/**
 * Limits against a model that is plainly right: a bucket for each project, to which everything
 * that was set aside or given back is told. After every event of the scheduler: nobody runs whom
 * the model would not let run (no over-admission) or whom a budget stops (L6), nobody waits whom
 * it would (W1), each reservation belongs to a claim or to a broken answer that waits (L1, L7), and
 * what is told to be left is what the model has. After the last one, whatever was aborted in
 * whichever phase, nothing is set aside any more and every bucket fills again.
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
import type { Usage } from '../scheduler/schedulerState.ts';
import { maxSavedHedges, requestsPerHedge } from '../failures/limits.ts';
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

/** What is set aside for a request, and what it comes to if nobody goes on with it. */
interface Held {
  project: string;
  shared: boolean;
  tokens: number;
  before: number;
  cost: 'nothing' | number;
}

interface Running {
  claim: number;
  requestId: string;
  held: Held | null;
  phase: 'before_first_byte' | 'streaming' | 'over';
  failed: boolean;
  twin: Running | null;
}

interface Asked {
  project: string;
  tokens: number;
  delivered: number | null;
  left: Running | null;
}

class World {
  readonly scheduler: Scheduler;
  nowMs = 0;
  arrived = 0;
  running: Running[] = [];
  readonly waiting = new Set<string>();
  readonly stopped = new Set<string>();
  readonly asked = new Map<string, Asked>();
  private readonly buckets = new Map<string, { requests: PlainBucket; tokens: PlainBucket }>();

  constructor(seed: number) {
    const free = { ...figures, price };
    const tiers = tierTable({ free, self_hosted: { concurrentPerProject: 3 } });
    this.scheduler = new Scheduler({ random: seededRandom(seed), config: { tiers } });
    for (const [id, projectId, slots] of [
      ['own', 'a', 3],
      ['own2', 'a', 2],
      ['shared1', null, 4],
      ['shared2', null, 8],
      ['shared3', null, 2],
      ['saver', 'c', 1],
    ] as const) {
      const effectiveTiers = projectId === null ? ['free' as const] : ['self_hosted' as const];
      this.send({ type: 'agent', entry: agentEntry({ id, projectId, effectiveTiers }) });
      this.send({ type: 'join', agentId: id, nonce: 'n' });
      const instances = [{ instance: 'i', modelId: 'model_a', slots, abilities: [] }];
      this.send({ type: 'grant', agentId: id, nonce: 'n', instances });
    }
    for (let n = 0; n < maxSavedHedges * requestsPerHedge; n += 1) this.saveUp();
  }

  /** A request of somebody else, so that others may have two agents. */
  private saveUp(): void {
    const endpoint = endpointEntry({ id: 'ep_c', projectId: 'c', tier: 'self_hosted' });
    const request = routedRequest({ id: 'saved', endpoint, project: projectEntry({ id: 'c' }) });
    const [begun] = this.scheduler.handle({ type: 'arrive', request, atMs: this.nowMs });
    assert.ok(begun?.type === 'dispatch');
    this.scheduler.handle({ type: 'end', claim: begun.claim, slotFree: true, atMs: this.nowMs });
  }

  send(event: UntimedEvent): void {
    const commands = this.scheduler.handle({ ...event, atMs: this.nowMs } as SchedulerEvent);
    for (const command of commands) {
      if (command.type === 'dispatch') this.started(command);
      if (command.type === 'reject') this.rejected(command.requestId);
    }
    const { reservations, reserved, inFlight, claimable } = this.scheduler.audit();
    assert.equal(reserved, reservations, 'L1');
    assert.equal(reserved, this.allHeld().length, 'L7');
    assert.equal(inFlight, this.running.length, 'R5');
    assert.deepEqual(claimable, [], 'W1');
  }

  /** Of those that run, and of those that wait with a part of their answer. */
  private allHeld(): Held[] {
    const lefts = [...this.waiting].map((id) => this.asked.get(id)?.left?.held ?? null);
    const all = new Set([...this.running.map(({ held }) => held), ...lefts]);
    return [...all].filter((held) => held !== null);
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
    const { requestId, claim, shared, hedge } = command;
    const asked = this.asked.get(requestId);
    assert.ok(asked !== undefined && (hedge || this.waiting.delete(requestId)), 'R1');
    const { project } = asked;
    const main = this.running.find((one) => one.requestId === requestId && one.phase !== 'over');
    const first = hedge ? main : undefined;
    // A second agent goes on with what the first one holds.
    const left = first ?? asked.left;
    const held = first?.held?.shared === shared ? first.held : this.heldBy(asked, shared);
    asked.left = null;
    const beside = this.allHeld().filter(
      (one) => one !== held && one.project === project && one.shared === shared,
    );
    assert.ok(beside.length < (shared ? figures.concurrentPerProject : 3), 'too many at once');
    if (shared) {
      const isItsOwn = left !== null && held.cost !== 'nothing';
      assert.ok(isItsOwn || !this.stopped.has(project), 'L6: beyond its budget');
      const { requests, tokens } = this.bucketsOf(project);
      const { rates } = command;
      const told = [rates.tokens?.remaining ?? -1, rates.requests?.remaining ?? -1];
      const levels = [tokens.at(this.nowMs), requests.at(this.nowMs)];
      for (const [at, level] of levels.entries()) {
        assert.ok(Math.abs((told[at] ?? -1) - Math.max(0, level)) <= 1, `${at}: ${level}`);
      }
    }
    const phase = 'before_first_byte';
    const one: Running = { claim, requestId, held, phase, failed: false, twin: null };
    if (first !== undefined) [one.twin, first.twin] = [first, one];
    this.running.push(one);
  }

  /** Its own, that a failed attempt has left, or as much as it needs. */
  private heldBy({ project, tokens: all, delivered, left }: Asked, shared: boolean): Held {
    const kept = left?.held ?? null;
    if (left !== null && kept?.shared === shared) {
      left.held = null;
      return kept;
    }
    if (left !== null) this.giveBack(left, 'failed');
    const before = delivered ?? 0;
    const tokens = Math.max(1, all - before);
    if (shared) {
      const { requests, tokens: ofTokens } = this.bucketsOf(project);
      assert.ok(requests.at(this.nowMs) >= 1 - 1e-3, 'over-admission: requests');
      assert.ok(ofTokens.at(this.nowMs) >= tokens - 1e-3, 'over-admission: tokens');
      requests.change(-1, this.nowMs);
      ofTokens.change(-tokens, this.nowMs);
    }
    return { project, shared, tokens, before, cost: 'nothing' };
  }

  private rejected(requestId: string): void {
    this.waiting.delete(requestId);
    const asked = this.asked.get(requestId);
    const left = asked?.left ?? null;
    if (asked !== undefined) asked.left = null;
    if (left !== null && !this.running.includes(left)) this.giveBack(left, 'failed');
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
    this.asked.set(id, { project, tokens, delivered: null, left: null });
    this.waiting.add(id);
    const entry = projectEntry({ id: project });
    this.send({
      type: 'arrive',
      request: routedRequest({ id, endpoint, project: entry, ...size }),
    });
  }

  private giveBack(one: Running, how: 'failed' | 'reserved' | Usage): void {
    const { held } = one;
    one.held = null;
    if (held === null || !held.shared || how === 'reserved') return;
    const used = how === 'failed' ? held.cost : how.input + Math.max(0, how.output - held.before);
    const { requests, tokens } = this.bucketsOf(held.project);
    if (used === 'nothing') requests.change(1, this.nowMs);
    tokens.change(held.tokens - (used === 'nothing' ? 0 : used), this.nowMs);
  }

  /** The slot of a claim is free. */
  private freed(one: Running, usage: Usage | undefined): void {
    this.running = this.running.filter((other) => other !== one);
    const asked = this.asked.get(one.requestId);
    const isLeft = asked?.left === one;
    if (isLeft && asked.delivered !== null) return;
    if (isLeft) asked.left = null;
    this.giveBack(one, one.failed ? 'failed' : (usage ?? 'reserved'));
  }

  /** Of two agents of a request one is not needed. */
  private drop(one: Running, slotFree: boolean): void {
    if (one.twin !== null) one.twin.twin = null;
    if (one.twin?.held === one.held) one.held = null;
    one.twin = null;
    one.failed = true;
    one.phase = 'over';
    if (slotFree) this.freed(one, undefined);
    this.send({ type: 'drop', claim: one.claim, slotFree });
  }

  hedge(pick: number): void {
    const one = this.running[pick % this.running.length];
    if (one === undefined || one.phase !== 'before_first_byte') return;
    if (one.twin === null) this.send({ type: 'hedge', claim: one.claim });
    else this.drop(one, pick % 2 === 0);
  }

  /** An end or an abort, in whatever phase the claim is. */
  finish(
    pick: number,
    how: { failed: boolean; slotFree: boolean; used: number | null; written: number },
  ): void {
    const one = this.running[pick % this.running.length];
    if (one === undefined) return;
    if (one.twin !== null) this.drop(one.twin, false);
    const { claim, requestId } = one;
    const asked = this.asked.get(requestId);
    assert.ok(asked !== undefined);
    // The input says nothing of bytes, and outputs of 4,096 leave the estimate where it is.
    const delivered = asked.delivered ?? 0;
    const usage = how.used === null ? undefined : { input: how.used, output: 4096, delivered };
    if (one.phase === 'over') {
      this.freed(one, usage);
      return this.send({ type: 'release', claim, usage });
    }
    const broke = how.failed && one.phase === 'streaming';
    one.failed = how.failed;
    one.phase = 'over';
    if (how.failed) {
      this.waiting.add(requestId);
      asked.left = one;
    }
    if (broke) asked.delivered = Math.min(asked.tokens, delivered + how.written);
    if (broke && one.held !== null) one.held.cost = (asked.delivered ?? 0) - one.held.before;
    const { slotFree } = how;
    if (slotFree) this.freed(one, usage);
    const resume = { abilities: [], delivered: asked.delivered ?? 0 };
    if (how.failed) this.send({ type: 'failed', claim, slotFree, ...(broke && { resume }) });
    else this.send({ type: 'end', claim, slotFree, usage });
  }

  firstByte(pick: number): void {
    const one = this.running[pick % this.running.length];
    if (one?.phase !== 'before_first_byte') return;
    if (one.twin !== null) this.drop(one.twin, pick % 3 === 0);
    one.phase = 'streaming';
    if (one.held?.cost === 'nothing') one.held.cost = 0;
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
    // Those that a shared agent began may go on.
    const theirs = [...this.waiting].filter((id) => {
      const asked = this.asked.get(id);
      const cost = asked?.left?.held?.cost ?? 'nothing';
      return asked?.project === 'b' && cost === 'nothing';
    });
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
          written: fc.constantFrom(0, 1, 40, 700),
        }),
      )
      .map(
        (all): Step =>
          (world) =>
            world.finish(...all),
      ),
  },
  {
    weight: 4,
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
          world.hedge(at),
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
      const usage = { failed: false, slotFree: true, used: 0, written: 0 };
      while (world.running.length > 0) world.finish(0, usage);
      assert.equal(world.scheduler.audit().reserved, 0, 'L1: something stays set aside');
      // Longer than the deepest debt takes.
      world.pass(24 * 3_600_000);
      world.arrive('b', 1000);
      const [last] = world.running;
      assert.ok(last?.held?.shared === true, 'a bucket never fills again');
      assert.equal(Math.round(world.bucketsOf('b').tokens.level), burst.tokens - 1000);
    }),
    { numRuns: 400 },
  );
});
