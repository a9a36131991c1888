/** What the bench `cancel` reports. */
import type { machineFacts } from '../machine/facts.ts';
import { quantile, rounded } from '../machine/statistics.ts';
import { verdicts, type Target, type Verdict } from '../relay/targets.ts';
import { cancelPhases, type CancelPhase, type CancelSample } from './phases.ts';

interface Spread {
  p50: number | null;
  p99: number | null;
  max: number | null;
}

export interface CancelReport {
  bench: 'cancel';
  machine: ReturnType<typeof machineFacts>;
  /** Aborts in each phase. */
  samples: number;
  background_streams: number;
  /** From the client's leaving until its engine saw it. */
  engine_closed_ms: Record<Exclude<CancelPhase, 'queued'>, Spread>;
  /** Until the next request was at the engine; for a queued one, until its place was free. */
  slot_free_ms: Record<CancelPhase, Spread>;
  targets: Verdict[];
}

const must = 50;
const aim = 10;
const targets: readonly Target[] = cancelPhases.map((phase) => ({
  figure: `slot_free_ms_p99_${phase}`,
  unit: 'ms',
  better: 'smaller',
  must,
  aim,
}));

export function cancelReport(
  measured: Readonly<Record<CancelPhase, readonly CancelSample[]>>,
  plan: { samples: number; background: number; machine: CancelReport['machine'] },
): CancelReport {
  const closed = (phase: CancelPhase): Spread =>
    spread(measured[phase].map(({ engineClosedMs }) => engineClosedMs ?? Number.NaN));
  const free = (phase: CancelPhase): Spread => spread(measured[phase].map(({ freeMs }) => freeMs));
  const freeMs = Object.fromEntries(
    cancelPhases.map((phase) => [phase, free(phase)]),
  ) as CancelReport['slot_free_ms'];
  const figures = cancelPhases.map((phase) => [`slot_free_ms_p99_${phase}`, freeMs[phase].p99]);
  return {
    bench: 'cancel',
    machine: plan.machine,
    samples: plan.samples,
    background_streams: plan.background,
    engine_closed_ms: {
      waiting: closed('waiting'),
      streaming: closed('streaming'),
      not_streaming: closed('not_streaming'),
    },
    slot_free_ms: freeMs,
    targets: verdicts(Object.fromEntries(figures) as Record<string, number | null>, targets),
  };
}

const spread = (values: readonly number[]): Spread => ({
  p50: rounded(quantile(values, 0.5), 2),
  p99: rounded(quantile(values, 0.99), 2),
  max: rounded(quantile(values, 1), 2),
});

/** For a person. */
export function cancelLines(report: CancelReport): string[] {
  const { machine, engine_closed_ms: closed, slot_free_ms: free } = report;
  const show = ({ p50, p99, max }: Spread): string => `p50 ${p50}, p99 ${p99}, most ${max} ms`;
  return [
    `${machine.cores} cores (${machine.cpu}), Node ${machine.node}, load before ` +
      `${machine.load_before}; ${report.samples} aborts in each phase beside ` +
      `${report.background_streams} streams`,
    ...Object.entries(closed).map(([phase, one]) => `engine closed, ${phase}: ${show(one)}`),
    ...Object.entries(free).map(([phase, one]) => `slot free, ${phase}: ${show(one)}`),
    ...report.targets.map(
      ({ figure, value, met }) =>
        `  ${met === 'no' ? 'MISSED' : met.padEnd(6)} ${figure}: ${value} ` +
        `(must ${must}, aim ${aim})`,
    ),
  ];
}
