/**
 * What the product's scheduler has to show against published rules. The best rule of a setting is
 * the one with the lowest mean TTFT, where shares are compared the one with the highest share;
 * differences under 5 % are ties.
 */
import type { PolicyName } from '../../sim/policies/policyNames.ts';
import type { Figures, Setting, SimulatedRuns } from './simulatedRuns.ts';

export interface Check {
  name: string;
  /** What it is held against; null: a fixed limit. */
  best: string | null;
  value: number;
  limit: number;
  passed: boolean;
}

const tie = 1.05;

/** Shares of nothing are equal: a fraction of a percent is no difference. */
const shareSlack = 0.005;

const queueTimeout = 30;
const wanted = 5;

interface Compared {
  runs: SimulatedRuns;
  ours: PolicyName;
  rules: readonly PolicyName[];
}

export function atMost(name: string, of: { value: number; limit: number; best?: string }): Check {
  const { value, limit, best = null } = of;
  // Not the other way round: what was not measured has not passed.
  return { name, best, value, limit, passed: value <= limit };
}

export function atLeast(name: string, of: { value: number; limit: number; best?: string }): Check {
  const { value, limit, best = null } = of;
  return { name, best, value, limit, passed: value >= limit };
}

/** The rule whose figure is the lowest; of its negative, the highest. */
function bestRule(
  { runs, rules }: Compared,
  how: { setting: Setting; by: (figures: Figures) => number },
): { best: string; figures: Figures } {
  const all = rules.map((rule) => ({ best: rule, figures: runs.figures(rule, how.setting) }));
  const [first, ...rest] = all as [(typeof all)[number], ...typeof all];
  return rest.reduce(
    (one, other) => (how.by(other.figures) < how.by(one.figures) ? other : one),
    first,
  );
}

/**
 * The least share that is clearly more than another. Nothing is 1.2 times as much as five sixths
 * and more: there, of what is missing to all, a sixth has to be gained.
 */
function clearlyMore(share: number): number {
  const more = 1.2 * share;
  return more < 1 ? more : 1 - (1 - share) / 1.2;
}

const byTtft = ({ ttftMean }: Figures): number => ttftMean;
const byPrompt = ({ prompt }: Figures): number => -prompt;

/** Where there is room: nothing is lost against the best rule. */
export function lightChecks(compared: Compared, name: string, setting: Setting): Check[] {
  const ours = compared.runs.figures(compared.ours, setting);
  const { best, figures } = bestRule(compared, { setting, by: byTtft });
  return (['ttftMean', 'ttftP99', 'e2eP99'] as const).map((figure) =>
    atMost(`${name}: ${figure}`, { value: ours[figure], limit: tie * figures[figure], best }),
  );
}

/** Where not everybody can be served in time. `leastShare`: also of a published trace. */
export function overloadChecks(
  compared: Compared,
  name: string,
  where: { setting: Setting; leastShare: number | null },
): Check[] {
  const setting = { ...where.setting, queueTimeout };
  const ours = compared.runs.figures(compared.ours, setting);
  const { best, figures } = bestRule(compared, { setting, by: byPrompt });
  const { leastShare } = where;
  const failedLimit = (share: number): number => share * tie + shareSlack;
  return [
    ...(leastShare === null
      ? []
      : [atLeast(`${name}: under ${wanted} s`, { value: ours.prompt, limit: leastShare })]),
    atLeast(`${name}: under ${wanted} s`, {
      value: ours.prompt,
      limit: clearlyMore(figures.prompt),
      best,
    }),
    atMost(`${name}: failed`, { value: ours.failed, limit: failedLimit(figures.failed), best }),
    atLeast(`${name}: long prompts under ${wanted} s`, {
      value: ours.longPrompt,
      limit: figures.longPrompt / tie,
      best,
    }),
    atMost(`${name}: long prompts failed`, {
      value: ours.longFailed,
      limit: failedLimit(figures.longFailed),
      best,
    }),
  ];
}

/** Nobody starves where nothing is given up. */
export function starvationChecks(compared: Compared, name: string, setting: Setting): Check[] {
  const { ttftMax, longestTtftP50 } = compared.runs.figures(compared.ours, setting);
  return [atMost(`${name}: longest wait`, { value: ttftMax, limit: 10 * longestTtftP50 })];
}

/** Machines that are unlike, of which nobody says so. */
export function mixedChecks(compared: Compared, name: string, setting: Setting): Check[] {
  const ours = compared.runs.figures(compared.ours, setting);
  const { best, figures } = bestRule(compared, { setting, by: byTtft });
  return [
    atMost(`${name}: ttftMean`, { value: ours.ttftMean, limit: 0.95 * figures.ttftMean, best }),
    atMost(`${name}: e2eP99`, { value: ours.e2eP99, limit: 1.1 * figures.e2eP99, best }),
    atMost(`${name}: error of predictions`, { value: ours.mape, limit: 0.2 }),
    atLeast(`${name}: within p90`, { value: ours.coverage, limit: 0.85 }),
    atMost(`${name}: within p90`, { value: ours.coverage, limit: 0.95 }),
  ];
}

/** A tenant that was idle, beside one that always runs a little, begins where the others are. */
export function idleChecks(
  { runs, ours }: Compared,
  how: { trace: string; fleet: string; cap: number; tenants: string },
): Check[] {
  const { trace, fleet, cap: inflightCap, tenants } = how;
  const figures = runs.figures(ours, { trace, fleet, speed: 1, inflightCap, tenants });
  return [
    atMost('idle before: service gap', { value: figures.serviceGap, limit: figures.gapBound }),
  ];
}

/** The last tenant floods: the others must not feel it. */
export function floodChecks(
  { runs, ours }: Compared,
  how: { trace: string; fleet: string; cap: number; steady: string; flooder: readonly number[] },
): Check[] {
  const [calm, ...floods] = how.flooder.map((perS) => ({
    perS,
    setting: {
      trace: how.trace,
      fleet: how.fleet,
      speed: 1,
      inflightCap: how.cap,
      tenants: `${how.steady},1@${perS}:300-900`,
    },
  }));
  if (calm === undefined) return [];
  const quiet = runs.figures(ours, calm.setting);
  return floods.flatMap(({ perS, setting }) => {
    const flooded = runs.figures(ours, setting);
    const fcfs = runs.figures('least-requests', { ...setting, order: 'fcfs' });
    const value = flooded.othersTtftP99;
    const best = 'fcfs';
    return [
      atMost(`flood of ${perS}/s: others' p99`, { value, limit: 1.2 * quiet.othersTtftP99 }),
      atMost(`flood of ${perS}/s: others' p99`, { value, limit: 0.02 * fcfs.othersTtftP99, best }),
      atLeast(`flood of ${perS}/s: tokens/s`, {
        value: flooded.tokensPerS,
        limit: 0.99 * fcfs.tokensPerS,
        best,
      }),
    ];
  });
}
