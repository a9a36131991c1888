/** Runs of the simulator that a proof compares: each once, its figures medians over the seeds. */
import { systemClock } from '../../lib/clock.ts';
import type { OrderName } from '../../sim/orders/orderNames.ts';
import { planRun } from '../../sim/planRun.ts';
import { maxSequences } from '../../sim/limits.ts';
import type { PolicyName } from '../../sim/policies/policyNames.ts';
import { reportOf } from '../../sim/report.ts';
import type { SimulatedRequest } from '../../sim/simulatedRequest.ts';
import { Simulation } from '../../sim/simulation.ts';
import type { TraceRequest } from '../../sim/traces/traceRequest.ts';
import { spreadOf } from '../../sim/spread.ts';

export interface Setting {
  trace: string;
  fleet: string;
  speed: number;
  /** In s; undefined: no deadline. */
  queueTimeout?: number | undefined;
  tenants?: string | undefined;
  order?: OrderName | undefined;
  inflightCap?: number | undefined;
}

/** Times in s, shares of the offered requests; NaN: there was nothing to measure. */
export interface Figures {
  ttftMean: number;
  ttftP99: number;
  ttftMax: number;
  /** Of the tenth with the longest prompts: half of them waited no longer for a first token. */
  longestTtftP50: number;
  e2eP99: number;
  prompt: number;
  failed: number;
  longPrompt: number;
  longFailed: number;
  tokensPerS: number;
  /** Of all tenants but the last. */
  othersTtftP99: number;
  /** Weighted tokens by which two tenants moved apart while both waited, at most. */
  serviceGap: number;
  /** What that may be: `2 · max(longest input, 2 · Σ slots · longest output)` (S4). */
  gapBound: number;
  mape: number;
  coverage: number;
}

export class SimulatedRuns {
  private readonly seeds: readonly number[];
  private readonly tell: (line: string) => void;
  private readonly done = new Map<string, Figures>();

  constructor(options: { seeds: readonly number[]; tell: (line: string) => void }) {
    this.seeds = options.seeds;
    this.tell = options.tell;
  }

  /** Throws where the options or the trace cannot be as they are. */
  figures(policy: PolicyName, setting: Setting): Figures {
    const key = JSON.stringify([policy, setting]);
    const known = this.done.get(key);
    if (known !== undefined) return known;
    const runs = this.seeds.map((seed) => runOnce({ policy, setting, seed }));
    const names = Object.keys(runs[0] as Figures) as (keyof Figures)[];
    const figures = Object.fromEntries(
      names.map((name) => [name, median(runs.map((one) => one[name]))]),
    ) as unknown as Figures;
    this.done.set(key, figures);
    const { ttftMean, prompt, failed } = figures;
    const { fleet, speed, tenants } = setting;
    const sent = tenants === undefined ? '' : `, ${tenants}`;
    this.tell(
      `${policy}, ${fleet}, ${speed.toFixed(2)} ×${sent}: mean TTFT ${ttftMean.toFixed(2)} s, ` +
        `${(100 * prompt).toFixed(1)} % under 5 s, ${(100 * failed).toFixed(1)} % failed`,
    );
    return figures;
  }
}

function median(values: readonly number[]): number {
  return spreadOf(values).p50 ?? Number.NaN;
}

function runOnce(how: { policy: PolicyName; setting: Setting; seed: number }): Figures {
  const { policy, setting, seed } = how;
  const { queueTimeout, tenants, order, inflightCap } = setting;
  const fixed = { from: 0, requests: undefined, faults: undefined, json: true };
  // What a setting leaves out is given as left out.
  const open = { queueTimeout, tenants, order, inflightCap };
  const planned = planRun({ ...fixed, ...setting, ...open, policy, seed });
  if (planned.kind === 'bad_options') throw new Error(planned.problems.join('; '));
  if (planned.kind === 'bad_trace') throw new Error(planned.problem);
  const { plan } = planned;
  const simulation = new Simulation({ ...plan, clock: systemClock, progress: () => {} });
  const result = simulation.run();
  const report = reportOf(plan.name, result);
  const { ttft, e2e, long, predictor } = report;
  const others = report.tenants.slice(0, -1).map(({ ttft_p99: p99 }) => p99 ?? Infinity);
  const number = (value: number | null): number => value ?? Number.NaN;
  return {
    ttftMean: number(ttft.mean),
    ttftP99: number(ttft.p99),
    ttftMax: number(ttft.max),
    longestTtftP50: number(longestTtftP50(result.requests)),
    e2eP99: number(e2e.p99),
    prompt: number(report.share_under_5s),
    failed: number(report.share_failed),
    longPrompt: number(long.share_under_5s),
    longFailed: number(long.share_failed),
    tokensPerS: report.tokens_per_s,
    othersTtftP99: others.length === 0 ? Number.NaN : Math.max(...others),
    serviceGap: Math.max(...report.tenants.map(({ service_gap: gap }) => gap ?? 0)),
    gapBound: gapBound(plan.requests, plan.machines.length * (inflightCap ?? maxSequences)),
    mape: number(predictor.mape),
    coverage: number(predictor.p90_coverage),
  };
}

function gapBound(requests: readonly TraceRequest[], slots: number): number {
  let [input, output] = [0, 0];
  for (const { inputTokens, outputTokens } of requests) {
    input = Math.max(input, inputTokens);
    output = Math.max(output, outputTokens);
  }
  return 2 * Math.max(input, 2 * slots * output);
}

function longestTtftP50(requests: readonly SimulatedRequest[]): number | null {
  const byLength = requests.toSorted((a, b) => b.offered.inputTokens - a.offered.inputTokens);
  const longest = byLength.slice(0, Math.ceil(requests.length / 10));
  const waits = longest.flatMap(({ firstByteAtMs, offered }) =>
    firstByteAtMs === null ? [] : [(firstByteAtMs - offered.atMs) / 1_000],
  );
  return spreadOf(waits).p50;
}
