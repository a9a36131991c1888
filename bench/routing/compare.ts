/** What the bench found: figures of both worlds, and whether they say the same. */
import type { PolicyName } from '../../src/sim/policies/policyNames.ts';
import { spreadOf } from '../../src/sim/spread.ts';
import type { Answered } from './client.ts';

/** Times in s. */
export interface RoutingFigures {
  ttft_mean: number;
  ttft_p50: number;
  ttft_p99: number;
  e2e_p99: number;
  failed: number;
}

export interface RoutingRow {
  policy: PolicyName;
  real: RoutingFigures;
  simulated: RoutingFigures;
  /** Of the real router, at the end; null: it predicts nothing. */
  predictor: { mape: number; p90Coverage: number } | null;
}

export interface RoutingReport {
  rows: RoutingRow[];
  /** By mean TTFT, each as a multiple of the first policy's. */
  ratios: { policy: PolicyName; real: number; simulated: number; apart: number }[];
  /** No two policies whose means differ by more than a tie in both worlds change places. */
  same_ranking: boolean;
  ratios_within: boolean;
  /** Nothing that was offered failed. */
  whole: boolean;
}

const tie = 1.05;
const mostApart = 0.3;

export function figuresOf(answers: readonly Answered[]): RoutingFigures {
  const seconds = (of: 'ttftMs' | 'e2eMs') =>
    spreadOf(answers.flatMap((one) => (one[of] === null ? [] : [one[of] / 1_000])));
  const [ttft, e2e] = [seconds('ttftMs'), seconds('e2eMs')];
  const number = (value: number | null): number => value ?? Number.NaN;
  return {
    ttft_mean: number(ttft.mean),
    ttft_p50: number(ttft.p50),
    ttft_p99: number(ttft.p99),
    e2e_p99: number(e2e.p99),
    failed: answers.filter(({ e2eMs }) => e2eMs === null).length,
  };
}

export function compared(rows: readonly RoutingRow[]): RoutingReport {
  const [first] = rows;
  const ratios = rows.map(({ policy, real, simulated }) => {
    const ofReal = real.ttft_mean / (first?.real.ttft_mean ?? Number.NaN);
    const ofSimulated = simulated.ttft_mean / (first?.simulated.ttft_mean ?? Number.NaN);
    const apart = Math.abs(ofReal / ofSimulated - 1);
    return { policy, real: ofReal, simulated: ofSimulated, apart };
  });
  return {
    rows: [...rows],
    ratios,
    same_ranking: ratios.every((one) => ratios.every((other) => keepPlaces(one, other))),
    ratios_within: ratios.every(({ apart }) => apart <= mostApart),
    whole: rows.every(({ real }) => real.failed === 0),
  };
}

type Ratio = { real: number; simulated: number };

function keepPlaces(one: Ratio, other: Ratio): boolean {
  const isAhead = (by: keyof Ratio): boolean => one[by] * tie < other[by];
  const isBehind = (by: keyof Ratio): boolean => one[by] > other[by] * tie;
  return !(isAhead('real') && isBehind('simulated'));
}
