/** The project's targets for the surface's speed, as far as the bench `relay` measures them. */

export interface Target {
  /** Key of the figure in the report. */
  figure: string;
  unit: string;
  better: 'smaller' | 'larger';
  must: number;
  aim: number;
}

const smaller = (figure: string, unit: string, [must, aim]: [number, number]): Target => ({
  figure,
  unit,
  better: 'smaller',
  must,
  aim,
});

export const targets: readonly Target[] = [
  smaller('ratio', '', [1.6, 1.2]),
  {
    figure: 'requests_per_s_per_core',
    unit: '1/s',
    better: 'larger',
    must: 4000,
    aim: 8000,
  },
  smaller('added_ms_p50', 'ms', [0.3, 0.2]),
  smaller('added_ms_p99', 'ms', [2, 0.8]),
  smaller('added_ttft_ms_p50', 'ms', [1, 0.6]),
  smaller('added_ttft_ms_p99', 'ms', [5, 2]),
  smaller('added_chunk_delay_ms_p50', 'ms', [1, 0.3]),
  smaller('added_chunk_delay_ms_p99', 'ms', [5, 3]),
  smaller('core_busy_percent', '%', [50, 35]),
  smaller('added_prompt_1mib_ms_p99', 'ms', [25, 10]),
  smaller('resident_mib_idle', 'MiB', [180, 110]),
];

export interface Verdict {
  figure: string;
  value: number | null;
  must: number;
  aim: number;
  met: 'aim' | 'must' | 'no';
}

/** What became of each target. A figure that could not be measured meets none. */
export function verdicts(
  values: Readonly<Record<string, number | null>>,
  of: readonly Target[] = targets,
): Verdict[] {
  return of.map(({ figure, better, must, aim }) => {
    const value = values[figure] ?? null;
    const reaches = (bound: number): boolean =>
      value !== null && (better === 'smaller' ? value <= bound : value >= bound);
    const met = reaches(aim) ? 'aim' : reaches(must) ? 'must' : 'no';
    return { figure, value, must, aim, met };
  });
}
