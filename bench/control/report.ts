/** What the bench `control` reports. */
import type { MachineFacts } from '../machine/facts.ts';
import { figure, quantile, rounded, type Figure } from '../machine/statistics.ts';
import { verdicts, type Target, type Verdict } from '../relay/targets.ts';
import type { ChangeSamples } from './changes.ts';
import type { ListSamples } from './lists.ts';
import type { ControlPlan, DatabaseName } from './plan.ts';

export interface Spread {
  p50: number | null;
  p99: number | null;
  max: number | null;
}

/** What was measured on one database. */
export interface ControlRun extends ListSamples, ChangeSamples {
  database: DatabaseName;
  seedMs: number;
  /** From the start of the process until its ready line. */
  startMs: number[];
  /** At the ready line, and the most that it ever was: after all of the bench. */
  readyMiB: number[];
  peakMiB: number;
}

interface DatabaseReport {
  database: DatabaseName;
  seed_s: number | null;
  start_ms: Figure;
  /** Once it was ready. */
  resident_mib: Figure;
  /** At any time, until all was measured: what lists leave behind waits to be collected. */
  peak_mib: number | null;
  /** A call that asks no database. */
  round_trip_ms: Spread;
  /** The first page of agents by its bare query, and how many times as long the call took. */
  bare_page_ms: Spread;
  list_ratio: number | null;
  list_ms: Record<string, Spread>;
  list_ms_p99_worst: number | null;
  /** A bare commit, and how many times as long a new key took. */
  bare_commit_ms: Spread;
  create_ratio: number | null;
  create_ms: Record<string, Spread>;
  create_ms_p99_worst: number | null;
  /** From sending a change until the data plane acts on it. */
  reach_ms: Record<string, Spread>;
  reach_ms_worst: number | null;
}

export interface ControlReport {
  bench: 'control';
  quick: boolean;
  machine: MachineFacts;
  agents: number;
  api_keys: number;
  usage_rows: number;
  samples: number;
  databases: DatabaseReport[];
  targets: Verdict[];
}

const most = (figure: string, must: number, aim = must): Target => ({
  figure,
  unit: '',
  better: 'smaller',
  must,
  aim,
});

const targetsOf = (database: DatabaseName): Target[] => [
  most(`${database}_start_ms`, 5_000),
  most(`${database}_resident_mib`, 600),
  most(`${database}_list_ms_p99`, database === 'sqlite' ? 50 : 80),
  most(`${database}_create_ms_p99`, 25),
  most(`${database}_reach_ms`, 100),
];

export function controlReport(
  runs: readonly ControlRun[],
  { plan, machine }: { plan: ControlPlan; machine: MachineFacts },
): ControlReport {
  const databases = runs.map(databaseReport);
  const values = databases.flatMap((one): [string, number | null][] => [
    [`${one.database}_start_ms`, one.start_ms.median],
    [`${one.database}_resident_mib`, one.resident_mib.median],
    [`${one.database}_list_ms_p99`, one.list_ms_p99_worst],
    [`${one.database}_create_ms_p99`, one.create_ms_p99_worst],
    [`${one.database}_reach_ms`, one.reach_ms_worst],
  ]);
  const targets = runs.flatMap(({ database }) => targetsOf(database));
  return {
    bench: 'control',
    quick: plan.quick,
    machine,
    agents: plan.agents,
    api_keys: plan.apiKeys,
    usage_rows: plan.usageRows,
    samples: plan.samples,
    databases,
    targets: verdicts(Object.fromEntries(values), targets),
  };
}

function databaseReport(run: ControlRun): DatabaseReport {
  const lists = spreads(run.lists);
  const creations = spreads(run.creations);
  const reach = spreads(run.reach);
  return {
    database: run.database,
    seed_s: rounded(run.seedMs / 1_000, 1),
    start_ms: figure(run.startMs, 0),
    resident_mib: figure(run.readyMiB, 0),
    peak_mib: rounded(run.peakMiB, 0),
    round_trip_ms: spread(run.roundTrip),
    bare_page_ms: spread(run.barePage),
    list_ratio: ratio(run.lists['agents'] ?? [], run.barePage),
    list_ms: lists,
    list_ms_p99_worst: worst(lists, 'p99'),
    bare_commit_ms: spread(run.bareCommit),
    create_ratio: ratio(run.creations.key, run.bareCommit),
    create_ms: creations,
    create_ms_p99_worst: worst(creations, 'p99'),
    reach_ms: reach,
    reach_ms_worst: worst(reach, 'max'),
  };
}

const spreads = (samples: Record<string, readonly number[]>): Record<string, Spread> =>
  Object.fromEntries(Object.entries(samples).map(([name, values]) => [name, spread(values)]));

const spread = (values: readonly number[]): Spread => ({
  p50: rounded(quantile(values, 0.5), 2),
  p99: rounded(quantile(values, 0.99), 2),
  max: rounded(quantile(values, 1), 2),
});

const worst = (all: Record<string, Spread>, part: keyof Spread): number | null =>
  rounded(Math.max(...Object.values(all).map((one) => one[part] ?? Number.NaN)), 2);

/** The middle one of the samples, each compared with the one that was taken beside it. */
function ratio(values: readonly number[], beside: readonly number[]): number | null {
  const ratios = values.map((value, at) => value / (beside[at] ?? Number.NaN));
  return rounded(quantile(ratios, 0.5), 2);
}

/** For a person. */
export function controlLines(report: ControlReport): string[] {
  const { machine } = report;
  const show = ({ p50, p99, max }: Spread): string => `p50 ${p50}, p99 ${p99}, most ${max} ms`;
  const each = (title: string, all: Record<string, Spread>): string[] =>
    Object.entries(all).map(([name, one]) => `  ${title}, ${name}: ${show(one)}`);
  return [
    `${machine.cores} cores (${machine.cpu}), Node ${machine.node}, load before ` +
      `${machine.load_before}; ${report.agents} agents, ${report.api_keys} keys, ` +
      `${report.usage_rows} requests; ${report.samples} samples`,
    ...report.databases.flatMap((one) => [
      `${one.database}: started in ${one.start_ms.median} ms, ` +
        `${one.resident_mib.median} MiB then, ${one.peak_mib} MiB at most`,
      `  without a database: ${show(one.round_trip_ms)}`,
      `  bare page: ${show(one.bare_page_ms)}; the call takes ${one.list_ratio} times as long`,
      ...each('list', one.list_ms),
      `  bare commit: ${show(one.bare_commit_ms)}; a key takes ${one.create_ratio} times as long`,
      ...each('create', one.create_ms),
      ...each('reaches the data plane', one.reach_ms),
    ]),
    ...report.targets.map(
      ({ figure: name, value, must, met }) =>
        `  ${met === 'no' ? 'MISSED' : met.padEnd(6)} ${name}: ${value} (must ${must})`,
    ),
  ];
}
