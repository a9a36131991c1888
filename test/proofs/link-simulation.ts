/**
 * `npm run proofs -- link-simulation --seeds 2000 --from 1`: fleets in virtual time, each from a
 * seed, in which everything breaks (`src/testing/linkSimulation/`); R1 to R6 and A1 are the oracle,
 * and every outcome must have occurred. First each broken copy of an invariant has to be found.
 * `--seed 17` repeats one and prints its last events. `npm test` runs a hundred.
 */
import { parseArgs } from 'node:util';
import type { Outcome } from '../../src/router/ports.ts';
import { LinkSimulation } from '../../src/testing/linkSimulation/linkSimulation.ts';
import { findMutation, mutations } from '../../src/testing/linkSimulation/mutations.ts';

/** A new outcome that is missing here is a type error. */
const outcomes: Readonly<Record<Outcome, true>> = {
  completed: true,
  client_closed: true,
  client_too_slow: true,
  queue_timeout: true,
  queue_full: true,
  rate_limit_exceeded: true,
  concurrency_exceeded: true,
  insufficient_quota: true,
  no_agent_available: true,
  model_loading: true,
  unsupported_parameter: true,
  upstream_error: true,
  stream_error: true,
  engine_refused: true,
  timeout: true,
  journal_unavailable: true,
  revoked: true,
  shutting_down: true,
  interrupted: true,
};

/** The least that each seed holds. */
const least = { virtualMs: 60_000, requests: 50, faults: 3 };
const seedsForBug = 60;

type Counts = Record<string, number>;

interface Figures {
  passed: boolean;
  seeds: number;
  requests: number;
  virtualHours: number;
  outcomes: Counts;
  faults: Counts;
  stages: Counts;
  missing: string[];
  failed: { seed: number; why: string }[];
}

/** Failing seeds that are told. */
const mostTold = 5;

/** Runs seeds `from` and on. Rejects never; what does not hold is in the figures. */
export async function simulate({ from, seeds }: { from: number; seeds: number }): Promise<Figures> {
  const sums = { outcomes: {} as Counts, faults: {} as Counts, stages: {} as Counts };
  const failed: Figures['failed'] = [];
  let [requests, virtualMs] = [0, 0];
  for (let seed = from; seed < from + seeds && failed.length < mostTold; seed += 1) {
    try {
      const report = await new LinkSimulation(seed).run();
      const faults = Object.values(report.faults).reduce((sum, count) => sum + count, 0);
      const { virtualMs: ms, requests: count } = report;
      const isEnough = ms >= least.virtualMs && count >= least.requests && faults >= least.faults;
      if (!isEnough) failed.push({ seed, why: `too little: ${JSON.stringify(report)}` });
      requests += count;
      virtualMs += ms;
      add(sums.outcomes, report.outcomes);
      add(sums.faults, report.faults);
      add(sums.stages, report.stages);
    } catch (error) {
      failed.push({ seed, why: (error as Error).message });
    }
  }
  const missing = Object.keys(outcomes).filter((one) => (sums.outcomes[one] ?? 0) === 0);
  const both = (sums.stages['own'] ?? 0) > 0 && (sums.stages['shared'] ?? 0) > 0;
  const passed = failed.length === 0 && missing.length === 0 && both;
  const virtualHours = Math.round(virtualMs / 36_000) / 100;
  return { passed, seeds, requests, virtualHours, ...sums, missing, failed };
}

/** Where each broken copy was found; null: it was not. */
export async function findBugs(): Promise<Record<string, string | null>> {
  const found: Record<string, string | null> = {};
  for (const mutation of mutations) {
    found[mutation.bug] = (await findMutation(mutation, seedsForBug))?.why.slice(0, 160) ?? null;
  }
  return found;
}

export async function prove(
  args: string[],
): Promise<{ passed: boolean } & Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    options: {
      seeds: { type: 'string', default: '2000' },
      from: { type: 'string', default: '1' },
      seed: { type: 'string' },
    },
  });
  if (values.seed !== undefined) {
    const { failed } = await simulate({ from: Number(values.seed), seeds: 1 });
    return { passed: failed.length === 0, failed };
  }
  const bugs = await findBugs();
  const figures = await simulate({ from: Number(values.from), seeds: Number(values.seeds) });
  const isFound = Object.values(bugs).every((why) => why !== null);
  return { ...figures, passed: figures.passed && isFound, bugs };
}

function add(sums: Counts, counts: Readonly<Partial<Counts>>): void {
  for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + (count ?? 0);
}
