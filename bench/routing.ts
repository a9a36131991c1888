/**
 * `npm run bench -- routing`: the product's routing and published rules with the real router, links
 * and agents, before engines that keep the simulator's model in real time, beside the simulator's
 * own figures for the same requests. What differs between the two is all that a simulator leaves
 * out: bytes that are estimated, blocks of other lengths, news that come when they come.
 *
 * Parts: `routing/platform.ts` (what runs), `routing/modelEngine.ts`, `routing/ruleScheduler.ts`
 * (a rule in the product's place), `routing/client.ts`, `routing/compare.ts` (the verdict).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Scheduler } from '../src/domain/scheduler/scheduler.ts';
import type { SchedulerOptions } from '../src/domain/scheduler/schedulerConfig.ts';
import { sleep, type Clock } from '../src/lib/clock.ts';
import { seededRandom } from '../src/lib/random.ts';
import { parseFleet, type Machine } from '../src/sim/fleetSpec.ts';
import type { PolicyName } from '../src/sim/policies/policyNames.ts';
import { simulateTraced } from './routing/simulated.ts';
import { readTrace } from '../src/sim/traces/readTrace.ts';
import type { TraceRequest } from '../src/sim/traces/traceRequest.ts';
import { drawnTrace } from '../src/testing/routingProof/drawnTrace.ts';
import { ask, type Answered } from './routing/client.ts';
import { compared, figuresOf, type RoutingReport, type RoutingRow } from './routing/compare.ts';
import { fastClock } from './routing/fastClock.ts';
import { Platform } from './routing/platform.ts';
import { RuleScheduler } from './routing/ruleScheduler.ts';
import { machineFacts } from './machine/facts.ts';

export const routingHelp = `bench routing: the real router under a trace, beside the simulator
  --json            one line of JSON on standard output at the end
  --trace FILE      of any format that the simulator reads (default: drawn by the seed)
  --speed N         of the trace (default: least requests wait as long as on an hour of Mooncake's)
  --requests N      the first of it (400)
  --fleet SPEC      machines (3xA100+2xA100@3)
  --policies LIST   (xim,mooncake-ttft,lmetric,least-requests,round-robin)
  --times N         faster than real time, at most 4 (4)
  --seed N          (1)
`;

const mostTimes = 4;
const usualRule = 'least-requests';
const usualTtftMs = 3_850;
const halvings = 8;

interface Plan {
  requests: readonly TraceRequest[];
  machines: readonly Machine[];
  policies: readonly PolicyName[];
  clock: Clock;
  seed: number;
}

/** Runs the bench. `tell` gets lines for a person. */
export async function routingBench(
  args: readonly string[],
  tell: (text: string) => void,
): Promise<RoutingReport> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      trace: { type: 'string' },
      speed: { type: 'string' },
      requests: { type: 'string', default: '400' },
      fleet: { type: 'string', default: '3xA100+2xA100@3' },
      policies: { type: 'string', default: 'xim,mooncake-ttft,lmetric,least-requests,round-robin' },
      times: { type: 'string', default: '4' },
      seed: { type: 'string', default: '1' },
    },
  });
  const fleet = parseFleet(values.fleet);
  if (fleet.kind === 'bad_fleet') throw new Error(`--fleet: ${fleet.problem}`);
  const { machines } = fleet;
  const seed = Number(values.seed);
  const traced = requestsOf({ file: values.trace, count: Number(values.requests), seed });
  const speed = values.speed === undefined ? usualSpeed(traced, machines) : Number(values.speed);
  const requests = traced.map((one) => ({ ...one, atMs: one.atMs / speed }));
  const clock = fastClock(Math.min(mostTimes, Number(values.times)));
  const plan = { requests, machines, policies: values.policies.split(',') as PolicyName[], clock };
  const lastMs = requests.at(-1)?.atMs ?? 0;
  tell(`${requests.length} requests in ${(lastMs / 1_000).toFixed(0)} s, ${values.fleet}`);
  const rows: RoutingRow[] = [];
  for (const policy of plan.policies) {
    const row = await rowOf(policy, { ...plan, seed });
    rows.push(row);
    const { real, simulated, predictor } = row;
    const ours = predictor === null ? '' : `, error of predictions ${predictor.mape.toFixed(2)}`;
    tell(
      `${policy}: mean TTFT ${real.ttft_mean.toFixed(2)} s (simulated ` +
        `${simulated.ttft_mean.toFixed(2)} s), p99 ${real.ttft_p99.toFixed(1)} s ` +
        `(${simulated.ttft_p99.toFixed(1)} s), ${real.failed} failed${ours}`,
    );
  }
  const report = { ...compared(rows), fleet: values.fleet, speed, seed, machine: machineFacts() };
  tell(`same ranking: ${report.same_ranking}; ratios within 30 %: ${report.ratios_within}`);
  return report;
}

async function rowOf(policy: PolicyName, plan: Plan): Promise<RoutingRow> {
  const { requests, machines, clock, seed } = plan;
  let scheduler: Scheduler | undefined;
  const makeScheduler = (options: SchedulerOptions): Scheduler => {
    const made = policy === 'xim' ? new Scheduler(options) : new RuleScheduler(options, policy);
    scheduler = made;
    return made;
  };
  const binds = policy === 'xim' ? 'waits' : 'binds';
  const platform = await Platform.open({ machines, requests, clock, binds, makeScheduler });
  try {
    const real = await play(requests, { platform, clock });
    const predictor = scheduler?.learned().predictor ?? null;
    const simulated = simulateTraced({ requests, machines, policy, seed });
    return { policy, real: figuresOf(real), simulated: figuresOf(simulated), predictor };
  } finally {
    await platform.close();
  }
}

/** Every request at its time, whatever has become of those before it. */
async function play(
  requests: readonly TraceRequest[],
  { platform, clock }: { platform: Platform; clock: Clock },
): Promise<Answered[]> {
  const { target } = platform;
  const startedAtMs = clock.monotonic();
  const answers: Promise<Answered>[] = [];
  for (const [id, request] of requests.entries()) {
    const inMs = startedAtMs + request.atMs - clock.monotonic();
    if (inMs > 0) await sleep(clock, inMs);
    answers.push(ask(request, { id, target, clock }));
  }
  return Promise.all(answers);
}

function requestsOf(of: { file: string | undefined; count: number; seed: number }): TraceRequest[] {
  const { file, count, seed } = of;
  const folder = mkdtempSync(path.join(tmpdir(), 'xim-drawn-'));
  try {
    const drawn = path.join(folder, 'drawn.jsonl');
    writeFileSync(drawn, drawnTrace({ requests: count, perS: 1, seed: seed + 10 }));
    const how = { random: seededRandom(seed), fromS: 0, requests: count };
    const read = readTrace(file ?? drawn, how);
    if (read.kind === 'bad_trace') throw new Error(read.problem);
    return read.requests;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** At which the usual rule waits as long as usual, by the simulator. */
function usualSpeed(traced: readonly TraceRequest[], machines: readonly Machine[]): number {
  let [low, high] = [1 / 64, 64];
  for (let halving = 0; halving < halvings; halving += 1) {
    const middle = Math.sqrt(low * high);
    const requests = traced.map((one) => ({ ...one, atMs: one.atMs / middle }));
    const answered = simulateTraced({ requests, machines, policy: usualRule, seed: 1 });
    if (figuresOf(answered).ttft_mean * 1_000 < usualTtftMs) low = middle;
    else high = middle;
  }
  return low;
}
