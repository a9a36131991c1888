/**
 * The storm: thousands of requests over real sockets through HTTP plane, router, link, agents and
 * engines, while clients leave in every phase, engines fail, links are cut and agents restart. What
 * must hold afterwards is `stormVerdict.ts`; what is asked for, `stormPlan.ts`.
 */
import { sleep, systemClock } from '../../lib/clock.ts';
import { randomInt, seededRandom, type Random } from '../../lib/random.ts';
import { sendAsPlanned, type Seen } from './stormClient.ts';
import { stormPlan } from './stormPlan.ts';
import { StormStage } from './stormStage.ts';
import { judgeStorm, type StormFigures } from './stormVerdict.ts';

export interface StormOptions {
  seed: number;
  requests: number;
  /** Clients that are busy at once. */
  clients: number;
}

export interface StormReport extends StormFigures {
  seed: number;
  seconds: number;
  disturbances: Record<string, number>;
}

/** Longest time between two disturbances, in ms. */
const longestCalmMs = 400;
/** One for so many requests at most: a slow machine's would meet several times a quick one's. */
const requestsPerDisturbance = 15;
const longestHoldMs = 300;

/** Runs it; rejects with the first thing that does not hold afterwards. */
export async function runStorm(options: StormOptions): Promise<StormReport> {
  const stage = await StormStage.open();
  try {
    const startedAtMs = systemClock.monotonic();
    const { seen, disturbances } = await rage(stage, options);
    const seconds = Math.round((systemClock.monotonic() - startedAtMs) / 100) / 10;
    await stage.calm();
    const figures = await judgeStorm(stage, seen);
    return { seed: options.seed, seconds, disturbances, ...figures };
  } finally {
    await stage.close();
  }
}

async function rage(
  stage: StormStage,
  { seed, requests, clients }: StormOptions,
): Promise<{ seen: Seen[]; disturbances: Record<string, number> }> {
  const random = seededRandom(seed);
  const seen: Seen[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < requests) {
      const plan = stormPlan(next, random);
      next += 1;
      const { connections } = stage;
      seen.push(await sendAsPlanned(plan, { ...stage.targets[plan.route], connections }));
    }
  };
  const over = new AbortController();
  const { signal } = over;
  const disturbing = disturb(stage, { random: seededRandom(seed + 1), signal, begun: () => next });
  await Promise.all(Array.from({ length: clients }, client));
  over.abort();
  return { seen, disturbances: await disturbing };
}

type Disturbance = (stage: StormStage, random: Random) => void | Promise<void>;

const disturbances: Readonly<Record<string, Disturbance>> = {
  link_cut: ({ proxy }, random) => proxy.cut(randomInt(random, proxy.connections)),
  link_held: async ({ proxy }, random) => {
    const resume = proxy.hold(randomInt(random, proxy.connections));
    await sleep(systemClock, randomInt(random, longestHoldMs));
    resume();
  },
  agent_restart: (stage, random) => stage.restartAgent(randomInt(random, 100)),
  engine_restart: (stage, random) => stage.restartEngine(randomInt(random, 100)),
  // Whoever comes next is tried again elsewhere, and does not notice.
  engine_dies_early: (stage, random) => {
    const times = 1 + randomInt(random, 3);
    stage.breakEngine(randomInt(random, 100), { fault: 'die', after: -1, times });
  },
  engine_dies_late: (stage, random) => {
    stage.breakEngine(randomInt(random, 100), { fault: 'die', after: 2, times: 2 });
  },
};
/** How often each comes, in parts. */
const weights: readonly [string, number][] = [
  ['link_cut', 3],
  ['link_held', 3],
  ['agent_restart', 1],
  ['engine_restart', 1],
  ['engine_dies_early', 6],
  ['engine_dies_late', 2],
];
const lots = weights.flatMap(([name, weight]) => Array.from({ length: weight }, () => name));

async function disturb(
  stage: StormStage,
  { random, signal, begun }: { random: Random; signal: AbortSignal; begun: () => number },
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  let met = 0;
  while ((await sleep(systemClock, random.float() * longestCalmMs, signal)) === 'elapsed') {
    if (met * requestsPerDisturbance > begun()) continue;
    met += 1;
    const name = lots[randomInt(random, lots.length)] ?? '';
    counts[name] = (counts[name] ?? 0) + 1;
    await disturbances[name]?.(stage, random);
  }
  return counts;
}
