/**
 * How long a decision of the scheduler takes, by the size of the fleet: arrivals that choose among
 * open instances, and ends that choose who is next among those that wait; the same ends where a
 * limit of its project holds back most of what waits, and while one in ten answers breaks by the
 * fault of its agent. Timers go off when they are due, as in the router, and count as decisions of
 * their own. Everything that is learned has been learned before; nothing but the scheduler runs. On
 * a machine that has other things to do the 99th percentile is the length of its turns.
 */
import { performance } from 'node:perf_hooks';
import type { AgentEntry } from '../src/domain/directory.ts';
import { Scheduler } from '../src/domain/scheduler/scheduler.ts';
import type {
  SchedulerCommand,
  SchedulerEvent,
  UntimedEvent,
} from '../src/domain/scheduler/schedulerEvents.ts';
import { randomInt, seededRandom } from '../src/lib/random.ts';
import {
  agentEntry,
  endpointEntry,
  projectEntry,
  routedRequest,
} from '../src/testing/router/directoryEntries.ts';
import { unlimitedTiers } from '../src/testing/router/unlimitedTiers.ts';

export const decisionHelp = `npm run bench -- decision [--json]
  Times decisions of the scheduler with 100 to 10,000 agents and 1,000 waiting requests.`;

export interface DecisionRow {
  agents: number;
  waiting: number;
  /** Arrivals that find an open instance, in µs. */
  arrive_us: Spread;
  /** Ends of requests, each of which lets the next one go, in µs. */
  next_us: Spread;
  /** The same of one project at its limit, whose other requests wait beside free agents. */
  held_us: Spread;
  /** The same while one in ten breaks, so that many agents are spared or prove themselves. */
  storm_us: Spread;
  /** Timers that went off meanwhile, in µs. */
  timer_us: Spread;
}

interface Spread {
  p50: number;
  p95: number;
  p99: number;
}

const slots = 4;
const allProjects = 50;
const decisions = 3000;
const blockBytes = 1024;

/** Nobody times out here: the time of a fleet flies while its decisions are counted. */
const queueTimeoutMs = 1e9;

/** A fleet in one pool, as busy as it is asked to be. */
class Fleet {
  readonly claims: number[] = [];
  private readonly projects: number;
  private readonly scheduler: Scheduler;
  /** What timers took since it was last emptied, in µs. */
  readonly timers: number[] = [];
  private readonly random = seededRandom(7);
  private nowMs = 0;
  private timerAtMs = Infinity;
  private requests = 0;

  constructor(agents: number, { concurrentPerProject = 1e6, projects = allProjects } = {}) {
    this.projects = projects;
    const config = {
      tiers: unlimitedTiers({ concurrentPerProject }),
      waiting: { maxRequests: 1e6, maxBytes: 1e12, perConcurrent: 1e6, longestMs: 1e9 },
    };
    this.scheduler = new Scheduler({ random: this.random, config });
    for (let n = 0; n < agents; n += 1) this.link(agentEntry({ id: `agent-${n}` }));
    // With an agent of its own a project waits at its limit, and is not refused.
    for (let n = 0; n < projects; n += 1) {
      const entry = agentEntry({ id: `own-${n}`, projectId: `proj_${n}` });
      this.send({ type: 'agent', entry });
      this.send({ type: 'join', agentId: entry.id, nonce: 'n' });
    }
  }

  /** Gives the µs that it took. */
  arrive(): number {
    const { random } = this;
    this.requests += 1;
    const chat = randomInt(random, 500);
    const length = 1 + randomInt(random, 24);
    const blocks = Array.from({ length }, (_none, at) => chat * 1000 + at);
    const project = projectEntry({ id: `proj_${randomInt(random, this.projects)}` });
    const { id: projectId } = project;
    const request = routedRequest({
      id: `r${this.requests}`,
      endpoint: endpointEntry({ id: `ep_${projectId}`, projectId, queueTimeoutMs }),
      project,
      bodyBytes: length * blockBytes + randomInt(random, blockBytes),
      prompt: { blocks, blockBytes },
    });
    return this.send({ type: 'arrive', request });
  }

  /** A running request gets its first byte and its end, some time later. */
  finish(health: 'good' | 'bad' = 'good'): number {
    const at = randomInt(this.random, this.claims.length);
    const claim = this.claims[at];
    if (claim === undefined) return 0;
    this.claims[at] = this.claims.at(-1) as number;
    this.claims.pop();
    this.nowMs += 40;
    this.send({ type: 'first_byte', claim });
    this.nowMs += 40;
    const usage = { input: 3000, output: 100, cached: 500 };
    return this.send({ type: 'end', claim, slotFree: true, health, usage });
  }

  get waiting(): number {
    return this.scheduler.counts().waiting;
  }

  private link(entry: AgentEntry): void {
    const instances = [{ instance: 'i', modelId: 'model_a', slots, abilities: [] }];
    this.send({ type: 'agent', entry });
    this.send({ type: 'join', agentId: entry.id, nonce: 'n' });
    this.send({ type: 'grant', agentId: entry.id, nonce: 'n', instances });
  }

  private send(event: UntimedEvent): number {
    this.nowMs += 0.01;
    while (this.timerAtMs <= this.nowMs) {
      const atMs = this.timerAtMs;
      this.timerAtMs = Infinity;
      this.timers.push(this.take({ type: 'tick', atMs }));
    }
    return this.take({ ...event, atMs: this.nowMs } as SchedulerEvent);
  }

  private take(event: SchedulerEvent): number {
    const before = performance.now();
    const commands: SchedulerCommand[] = this.scheduler.handle(event);
    const tookUs = (performance.now() - before) * 1000;
    for (const command of commands) {
      if (command.type === 'dispatch') this.claims.push(command.claim);
      if (command.type === 'set_timer') this.timerAtMs = command.atMs;
    }
    return tookUs;
  }
}

/** One row; `waiting` requests wait while ends are timed. */
export function timeDecisions(size: {
  agents: number;
  waiting: number;
  decisions?: number;
}): DecisionRow {
  const { agents, waiting, decisions: count = decisions } = size;
  const fleet = new Fleet(agents);
  // Half of it busy, and what there is to learn is learned.
  for (let n = 0; n < agents * 2; n += 1) fleet.arrive();
  for (let n = 0; n < Math.max(2000, agents * 4); n += 1) {
    fleet.finish();
    fleet.arrive();
  }
  const arrive = Array.from({ length: count }, () => {
    fleet.finish();
    return fleet.arrive();
  });
  const timers: number[] = [];
  const ends = (of: Fleet, breaking = Infinity): Spread => {
    while (of.waiting < waiting) of.arrive();
    of.timers.length = 0;
    const tookUs = Array.from({ length: count }, (_none, at) => {
      const one = of.finish(at % breaking === 0 ? 'bad' : 'good');
      while (of.waiting < waiting) of.arrive();
      return one;
    });
    timers.push(...of.timers);
    return spread(tookUs);
  };
  const next_us = ends(fleet);
  const storm_us = ends(fleet, 10);
  const held = new Fleet(agents, { concurrentPerProject: Math.min(50, agents), projects: 1 });
  const held_us = ends(held);
  const arrive_us = spread(arrive);
  return { agents, waiting, arrive_us, next_us, held_us, storm_us, timer_us: spread(timers) };
}

export function decisionBench(tell: (text: string) => void): { rows: DecisionRow[] } {
  const rows: DecisionRow[] = [];
  for (const agents of [100, 200, 1000, 10_000]) {
    const row = timeDecisions({ agents, waiting: 1000 });
    const told = ({ p50, p95, p99 }: Spread): string => `p50 ${p50}, p95 ${p95}, p99 ${p99} µs`;
    tell(`${agents} agents: arrivals ${told(row.arrive_us)}; next of 1,000: ${told(row.next_us)}`);
    tell(`  at a limit: ${told(row.held_us)}; after failures: ${told(row.storm_us)}`);
    tell(`  timers: ${told(row.timer_us)}`);
    rows.push(row);
  }
  return { rows };
}

function spread(times: readonly number[]): Spread {
  const sorted = times.toSorted((one, other) => one - other);
  const at = (part: number): number => sorted[Math.floor(part * (sorted.length - 1))] ?? 0;
  const round = (us: number): number => Math.round(us * 10) / 10;
  return { p50: round(at(0.5)), p95: round(at(0.95)), p99: round(at(0.99)) };
}
