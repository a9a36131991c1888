/**
 * From the rounds to the report. A comparison is made inside a round (router ÷ nginx, with relay −
 * without) and the median is taken over the rounds, so that a disturbance of one round stays there.
 */
import type { ContenderName } from '../contenders/contender.ts';
import type { Problem, Spread } from '../load/messages.ts';
import type { MachineFacts } from '../machine/facts.ts';
import { figure, type Figure } from '../machine/statistics.ts';
import type { Measured, Role } from './measure.ts';
import type { Phase, RelayPlan } from './plan.ts';
import type { Round } from './rounds.ts';
import { verdicts, type Verdict } from './targets.ts';

export interface RelayRun {
  plan: RelayPlan;
  machine: MachineFacts & { nginx: string | null };
  /** Before any load, in MiB. */
  idleMiB: { router: number; agent: number };
  rounds: readonly Round[];
  /** 1,000 streams, once; undefined when that was not asked for. */
  many: Measured | undefined;
}

/** A row of the report: for nginx, for XIM, and for the libraries that XIM is built of. */
interface Compared {
  nginx: Figure;
  bare: Figure;
  xim: Figure;
}

type Costs = Record<
  'nginx' | 'bare' | 'bare_agent' | 'router' | 'agent' | 'mock' | 'generator',
  Figure
>;

export interface RelayReport {
  bench: 'relay';
  quick: boolean;
  machine: RelayRun['machine'];
  ratio: number | null;
  ratio_rounds: (number | null)[];
  ratio_lockstep: number | null;
  ratio_lockstep_rounds: (number | null)[];
  cpu_us_per_chunk: Costs;
  cpu_us_per_chunk_lockstep: Costs;
  cpu_us_per_request: Costs;
  requests_per_s_per_core: { nginx: Figure; router: Figure; agent: Figure };
  streams: {
    count: number;
    tick_ms: number;
    window_ms: number;
    /** Delivered ÷ offered, by contender. */
    delivered_share: Record<ContenderName, Figure>;
    offered_equals_delivered: boolean;
  };
  timed: {
    streams: number;
    chunks_per_s: number;
    added_ttft_ms: { p50: Compared; p99: Compared };
    added_chunk_delay_ms: { p50: Compared; p99: Compared };
    core_busy_percent: Compared;
    direct: { ttft_ms: { p50: Figure; p99: Figure }; chunk_delay_ms: { p50: Figure; p99: Figure } };
  };
  alone: { added_ms: { p50: Compared; p99: Compared }; direct_ms: { p50: Figure; p99: Figure } };
  prompt_1mib: { added_ms: { p50: Compared; p99: Compared } };
  resident_mib: {
    idle: { router: number; agent: number };
    many_streams: ManyStreams | null;
  };
  /** Chunks out of order and answers that broke, over everything. */
  disorder: number;
  failures: number;
  first_failure: string | null;
  /** Every kind of failure, the first one first. */
  problems: Problem[];
  targets: Verdict[];
}

interface ManyStreams {
  streams: number;
  router: number;
  agent: number;
  delivered_share: number;
}

type Reader = (measured: Measured) => number;

export function relayReport(run: RelayRun): RelayReport {
  const { plan, rounds, many, idleMiB } = run;
  const all = [...rounds.flatMap(everyMeasured), ...(many === undefined ? [] : [many])];
  const problems = problemsOf(all);
  const shares = deliveredShares(run);
  const ratios = ratio(rounds, 'random');
  const lockstep = ratio(rounds, 'lockstep');
  const report: Omit<RelayReport, 'targets'> = {
    bench: 'relay',
    quick: plan.quick,
    machine: run.machine,
    ratio: ratios.median,
    ratio_rounds: ratios.rounds,
    ratio_lockstep: lockstep.median,
    ratio_lockstep_rounds: lockstep.rounds,
    cpu_us_per_chunk: costs(rounds, { phase: 'random', per: (one) => one.chunks }),
    cpu_us_per_chunk_lockstep: costs(rounds, { phase: 'lockstep', per: (one) => one.chunks }),
    cpu_us_per_request: costs(rounds, { phase: 'requests', per: (one) => one.answers }),
    requests_per_s_per_core: perCore(rounds),
    streams: {
      count: plan.streams,
      tick_ms: plan.tickMs,
      window_ms: plan.window.random,
      delivered_share: shares,
      offered_equals_delivered: Object.values(shares).every((one) => isWhole(one.median)),
    },
    timed: timedPart(run),
    alone: alonePart(rounds),
    prompt_1mib: { added_ms: added(rounds, 'prompt', (one) => one.latency) },
    resident_mib: {
      idle: { router: Math.round(idleMiB.router), agent: Math.round(idleMiB.agent) },
      many_streams: manyPart(run),
    },
    disorder: all.reduce((sum, one) => sum + one.disorder, 0),
    failures: all.reduce((sum, one) => sum + one.failures, 0),
    first_failure: problems[0]?.problem ?? null,
    problems,
  };
  return { ...report, targets: verdicts(targetValues(report)) };
}

function targetValues(report: Omit<RelayReport, 'targets'>): Record<string, number | null> {
  const { timed, alone } = report;
  return {
    ratio: report.ratio,
    requests_per_s_per_core: report.requests_per_s_per_core.router.median,
    added_ms_p50: alone.added_ms.p50.xim.median,
    added_ms_p99: alone.added_ms.p99.xim.median,
    added_ttft_ms_p50: timed.added_ttft_ms.p50.xim.median,
    added_ttft_ms_p99: timed.added_ttft_ms.p99.xim.median,
    added_chunk_delay_ms_p50: timed.added_chunk_delay_ms.p50.xim.median,
    added_chunk_delay_ms_p99: timed.added_chunk_delay_ms.p99.xim.median,
    core_busy_percent: timed.core_busy_percent.xim.median,
    added_prompt_1mib_ms_p99: report.prompt_1mib.added_ms.p99.xim.median,
    resident_mib_idle: report.resident_mib.idle.router,
  };
}

function timedPart({ plan, rounds }: RelayRun): RelayReport['timed'] {
  const busy: Reader = (one) => one.cpuUs.device / one.windowMs / 10;
  const direct = (read: Reader): Figure => figure(column(rounds, 'direct', 'timed', read), 3);
  return {
    streams: plan.timedStreams,
    chunks_per_s: Math.round((plan.timedStreams * 1000) / plan.tickMs),
    added_ttft_ms: added(rounds, 'timed', (one) => one.firstByte),
    added_chunk_delay_ms: added(rounds, 'timed', (one) => one.delay),
    core_busy_percent: {
      nginx: figure(column(rounds, 'nginx', 'timed', busy), 1),
      bare: figure(column(rounds, 'bare', 'timed', busy), 1),
      xim: figure(column(rounds, 'xim', 'timed', busy), 1),
    },
    direct: {
      ttft_ms: { p50: direct((one) => one.firstByte.p50), p99: direct((one) => one.firstByte.p99) },
      chunk_delay_ms: { p50: direct((one) => one.delay.p50), p99: direct((one) => one.delay.p99) },
    },
  };
}

function alonePart(rounds: readonly Round[]): RelayReport['alone'] {
  const direct = (read: Reader): Figure => figure(column(rounds, 'direct', 'alone', read), 3);
  return {
    added_ms: added(rounds, 'alone', (one) => one.latency),
    direct_ms: { p50: direct((one) => one.latency.p50), p99: direct((one) => one.latency.p99) },
  };
}

function manyPart({ plan, many }: RelayRun): ManyStreams | null {
  if (many === undefined) return null;
  const offered = (plan.manyStreams * many.windowMs) / plan.manyTickMs;
  return {
    streams: plan.manyStreams,
    router: Math.round(many.residentMiB.device),
    agent: Math.round(many.residentMiB.agent),
    delivered_share: Number((many.chunks / offered).toFixed(4)),
  };
}

/** Failures of one kind counted together, over every window. */
function problemsOf(all: readonly Measured[]): Problem[] {
  const byKind = new Map<string, Problem>();
  for (const one of all.flatMap(({ problems }) => problems)) {
    const known = byKind.get(one.problem);
    if (known === undefined) byKind.set(one.problem, { ...one });
    else known.count += one.count;
  }
  return [...byKind.values()];
}

function everyMeasured(round: Round): Measured[] {
  return Object.values(round).flatMap((byPhase) => Object.values(byPhase));
}

/** One figure of every round that has it. */
function column(
  rounds: readonly Round[],
  contender: ContenderName,
  phase: Phase,
  read: Reader,
): number[] {
  return rounds.flatMap((round) => {
    const measured = round[contender]?.[phase];
    return measured === undefined ? [] : [read(measured)];
  });
}

/** Router ÷ nginx in CPU per chunk, round by round. */
function ratio(rounds: readonly Round[], phase: Phase): Figure {
  const perChunk: Reader = (one) => one.cpuUs.device / one.chunks;
  const values = rounds.flatMap((round) => {
    const { xim, nginx } = { xim: round.xim?.[phase], nginx: round.nginx?.[phase] };
    return xim === undefined || nginx === undefined ? [] : [perChunk(xim) / perChunk(nginx)];
  });
  return figure(values, 3);
}

function costs(rounds: readonly Round[], options: { phase: Phase; per: Reader }): Costs {
  const { phase, per } = options;
  const of = (contender: ContenderName, role: Role): Figure =>
    figure(
      column(rounds, contender, phase, (one) => one.cpuUs[role] / per(one)),
      2,
    );
  return {
    nginx: of('nginx', 'device'),
    bare: of('bare', 'device'),
    bare_agent: of('bare', 'agent'),
    router: of('xim', 'device'),
    agent: of('xim', 'agent'),
    mock: of('xim', 'mock'),
    generator: of('xim', 'generator'),
  };
}

function perCore(rounds: readonly Round[]): RelayReport['requests_per_s_per_core'] {
  const of = (contender: ContenderName, role: Role): Figure =>
    figure(
      column(rounds, contender, 'requests', (one) => 1e6 / (one.cpuUs[role] / one.answers)),
      0,
    );
  return {
    nginx: of('nginx', 'device'),
    router: of('xim', 'device'),
    agent: of('xim', 'agent'),
  };
}

/** With the relay less without it, in the same round, in ms. */
function added(
  rounds: readonly Round[],
  phase: Phase,
  spread: (measured: Measured) => Spread,
): { p50: Compared; p99: Compared } {
  const over = (contender: ContenderName, share: 'p50' | 'p99'): Figure =>
    figure(
      rounds.flatMap((round) => {
        const { direct, [contender]: relayed } = round;
        const [base, value] = [direct?.[phase], relayed?.[phase]];
        if (base === undefined || value === undefined) return [];
        return [spread(value)[share] - spread(base)[share]];
      }),
      3,
    );
  return {
    p50: { nginx: over('nginx', 'p50'), bare: over('bare', 'p50'), xim: over('xim', 'p50') },
    p99: { nginx: over('nginx', 'p99'), bare: over('bare', 'p99'), xim: over('xim', 'p99') },
  };
}

function deliveredShares({ plan, rounds }: RelayRun): Record<ContenderName, Figure> {
  const share: Reader = (one) => one.chunks / ((plan.streams * one.windowMs) / plan.tickMs);
  const of = (contender: ContenderName): Figure =>
    figure(column(rounds, contender, 'random', share), 4);
  return { direct: of('direct'), nginx: of('nginx'), bare: of('bare'), xim: of('xim') };
}

/** Delivered is what was offered, within 1 %. */
function isWhole(share: number | null): boolean {
  return share === null || Math.abs(share - 1) <= 0.01;
}
