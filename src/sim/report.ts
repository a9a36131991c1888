/** What a run showed: the object that `--json` prints. */
import { longPromptTokens, promptFirstTokenMs } from './limits.ts';
import type { SimulatedRequest } from './simulatedRequest.ts';
import type { SimulationResult } from './simulation.ts';
import { spreadOf, type Spread } from './spread.ts';

/** How the run was asked for. */
export interface RunName {
  policy: string;
  /** Null: requests were bound on arrival. */
  order: string | null;
  trace: string;
  fleet: string;
  speed: number;
  seed: number;
}

/** Shares of the offered requests; null: there was none. */
interface Shares {
  share_under_5s: number | null;
  share_failed: number | null;
}

interface TenantReport extends Shares {
  tenant: string;
  requests: number;
  ttft_p99: number | null;
  /** In weighted tokens. */
  service_gap: number | null;
}

/** Times in s unless the name says otherwise; names are those of the documented JSON. */
export interface RunReport extends RunName, Shares {
  requests: number;
  ttft: Spread;
  tpot: Spread;
  e2e: Spread;
  long: Shares;
  /** Of the prompt tokens that engines began. */
  hit_share: number | null;
  /** Output of finished requests, from the first arrival to the end of the last. */
  tokens_per_s: number;
  tenants: TenantReport[];
  /** Where the policy predicts: after the first tenth of the requests. */
  predictor: { mape: number | null; p90_coverage: number | null };
  decision_us: { p50: number | null; p99: number | null };
  /** What the trace says that it was; absent: it does not say. */
  recorded?: { ttft: Spread; share_failed: number };
}

export function reportOf(run: RunName, result: SimulationResult): RunReport {
  const { requests, gaps, decisionUs, endedAtMs } = result;
  const done = requests.filter(({ phase }) => phase === 'done');
  const tokens = done.reduce((sum, { offered }) => sum + offered.outputTokens, 0);
  const long = requests.filter(({ offered }) => offered.inputTokens > longPromptTokens);
  const decision = spreadOf(decisionUs);
  const { policy, order, trace, fleet, speed, seed } = run;
  return {
    policy,
    order,
    trace,
    fleet,
    speed,
    seed,
    requests: requests.length,
    ttft: spreadOf(requests.flatMap((request) => ttftS(request) ?? [])),
    tpot: spreadOf(done.flatMap(tpotS)),
    e2e: spreadOf(done.map((request) => since(request, request.endAtMs))),
    ...sharesOf(requests),
    long: sharesOf(long),
    hit_share: hitShare(requests),
    tokens_per_s: endedAtMs === 0 ? 0 : tokens / (endedAtMs / 1_000),
    tenants: tenantsOf(requests, (tenant) => gaps.gapOf(tenant)),
    predictor: predictorOf(requests),
    decision_us: { p50: decision.p50, p99: decision.p99 },
    ...recordedOf(requests),
  };
}

function recordedOf(requests: readonly SimulatedRequest[]): Pick<RunReport, 'recorded'> {
  const recorded = requests.flatMap(({ offered }) => offered.recorded ?? []);
  if (recorded.length === 0) return {};
  const ttft = spreadOf(recorded.flatMap(({ ttftMs }) => (ttftMs === null ? [] : ttftMs / 1_000)));
  const failed = recorded.filter((one) => one.failed).length;
  return { recorded: { ttft, share_failed: failed / recorded.length } };
}

function since({ offered }: SimulatedRequest, atMs: number | null): number {
  return ((atMs ?? Number.NaN) - offered.atMs) / 1_000;
}

/** Null: it never had a first token. */
function ttftS(request: SimulatedRequest): number | null {
  return request.firstByteAtMs === null ? null : since(request, request.firstByteAtMs);
}

/** Between two tokens of the answer; nothing where there was one token only. */
function tpotS({ offered, firstByteAtMs, endAtMs }: SimulatedRequest): number[] {
  if (offered.outputTokens < 2 || firstByteAtMs === null || endAtMs === null) return [];
  return [(endAtMs - firstByteAtMs) / 1_000 / (offered.outputTokens - 1)];
}

function sharesOf(requests: readonly SimulatedRequest[]): Shares {
  const all = requests.length;
  if (all === 0) return { share_under_5s: null, share_failed: null };
  const prompt = requests.filter((one) => (ttftS(one) ?? Infinity) < promptFirstTokenMs / 1_000);
  const failed = requests.filter(({ phase }) => phase === 'failed');
  return { share_under_5s: prompt.length / all, share_failed: failed.length / all };
}

function hitShare(requests: readonly SimulatedRequest[]): number | null {
  let cached = 0;
  let input = 0;
  for (const { cachedTokens, offered } of requests) {
    if (cachedTokens === null) continue;
    cached += cachedTokens;
    input += offered.inputTokens;
  }
  return input === 0 ? null : cached / input;
}

function tenantsOf(
  requests: readonly SimulatedRequest[],
  gapOf: (tenant: string) => number | null,
): TenantReport[] {
  const byTenant = new Map<string, SimulatedRequest[]>();
  for (const request of requests) {
    const own = byTenant.get(request.offered.tenant);
    if (own === undefined) byTenant.set(request.offered.tenant, [request]);
    else own.push(request);
  }
  const names = [...byTenant].toSorted(([one], [other]) =>
    one.localeCompare(other, 'en', { numeric: true }),
  );
  return names.map(([tenant, own]) => ({
    tenant,
    requests: own.length,
    ttft_p99: spreadOf(own.flatMap((request) => ttftS(request) ?? [])).p99,
    ...sharesOf(own),
    service_gap: gapOf(tenant),
  }));
}

/** Predicted against measured time from the last dispatch to the first byte. */
function predictorOf(requests: readonly SimulatedRequest[]): RunReport['predictor'] {
  const errors: number[] = [];
  let within = 0;
  let withP90 = 0;
  for (const { dispatch, firstByteAtMs } of requests.slice(Math.ceil(requests.length / 10))) {
    if (dispatch?.predicted === undefined || firstByteAtMs === null) continue;
    const measuredMs = firstByteAtMs - dispatch.atMs;
    const { ttftMs, p90Ms } = dispatch.predicted;
    errors.push(Math.abs(ttftMs - measuredMs) / measuredMs);
    if (p90Ms === null) continue;
    withP90 += 1;
    if (measuredMs <= p90Ms) within += 1;
  }
  return {
    mape: spreadOf(errors).mean,
    p90_coverage: withP90 === 0 ? null : within / withP90,
  };
}
