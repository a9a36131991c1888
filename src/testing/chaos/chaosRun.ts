/** A chaos run: every scenario some rounds, and what clients saw of it. */
import { ChaosStage } from './chaosStage.ts';
import { scenarios, type Round, type Scenario, type ScenarioOptions } from './chaosScenarios.ts';
import { gapAfter, tornCharacters, type ChaosStream } from './chaosStream.ts';

export interface ChaosOptions extends ScenarioOptions {
  rounds: number;
  /** Names of scenarios; empty: all. */
  only: readonly string[];
}

/** What one scenario came to. Times in ms; null: there was none. */
export interface ScenarioFigures {
  scenario: string;
  passed: boolean;
  /** Of all streams, those that were read to their right end. */
  correctShare: number;
  streams: number;
  /** Requests that what was broken met. */
  met: number;
  /** Continued elsewhere, or not whole. */
  interrupted: number;
  /** Of those, read to their right end. */
  interruptedCorrect: number;
  /** Ended with an error that says so, or with the server's connection. */
  told: number;
  charactersLost: number;
  charactersDoubled: number;
  /** From asking to the first piece of text. */
  firstTokenMs: { median: number; most: number } | null;
  /** The longest silence of a continued stream: its next token. */
  nextTokenMs: { median: number; most: number } | null;
  freeSlotMs: { median: number; most: number };
  /** Asked again after the server had gone, and of those the ones that were served. */
  askedAgain: number;
  servedAgain: number;
  /** The first thing that was not right. */
  why: string | null;
}

export interface ChaosFigures {
  passed: boolean;
  /** Of interrupted plain-text streams that may go on, those that did. */
  interruptedCorrectShare: number;
  charactersLost: number;
  charactersDoubled: number;
  scenarios: ScenarioFigures[];
}

const leastShare = 0.99;

export const scenarioNames: readonly string[] = scenarios.map(({ name }) => name);

/** Runs it with real processes. `tell` gets a line for each scenario. */
export async function runChaos(
  options: ChaosOptions & { agents: number },
  tell: (text: string) => void,
): Promise<ChaosFigures> {
  const stage = await ChaosStage.open(options.agents);
  try {
    return await runChaosOn(stage, options, tell);
  } finally {
    await stage.close();
  }
}

/** The same on a stage that its caller closes. */
export async function runChaosOn(
  stage: ChaosStage,
  options: ChaosOptions,
  tell: (text: string) => void,
): Promise<ChaosFigures> {
  const all: ScenarioFigures[] = [];
  for (const scenario of scenarios) {
    if (options.only.length > 0 && !options.only.includes(scenario.name)) continue;
    const figures = await runScenario(stage, scenario, options);
    tell(lineOf(figures));
    all.push(figures);
  }
  return sumOf(all);
}

async function runScenario(
  stage: ChaosStage,
  scenario: Scenario,
  options: ChaosOptions,
): Promise<ScenarioFigures> {
  const rounds: Round[] = [];
  for (let round = 0; round < options.rounds; round += 1) {
    await stage.untilServing();
    rounds.push(await scenario.run(stage, options));
    stage.healEngines();
  }
  return judge(scenario, rounds);
}

function judge(scenario: Scenario, rounds: readonly Round[]): ScenarioFigures {
  const streams = rounds.flatMap((round) => round.streams);
  const again = rounds.flatMap((round) => round.again);
  const isWhole = ({ end }: ChaosStream): boolean => end === 'whole';
  const whole = streams.filter(isWhole).length;
  const interrupted = streams.filter((one) => one.resumed > 0 || !isWhole(one));
  const torn = [...streams, ...again].map(tornCharacters);
  const charactersLost = torn.reduce((sum, { lost }) => sum + lost, 0);
  const charactersDoubled = torn.reduce((sum, { doubled }) => sum + doubled, 0);
  const gaps = rounds.flatMap((round) => gapsOf(round, scenario));
  const firsts = streams.flatMap(({ piecesAtMs: [first], sentAtMs }) => {
    return first === undefined ? [] : first - sentAtMs;
  });
  const met = rounds.reduce((sum, round) => sum + round.met, 0);
  const servedAgain = again.filter(isWhole).length;
  const wrong = [...streams, ...again].filter(({ end }) => end === 'wrong');
  const correctShare = streams.length === 0 ? 0 : whole / streams.length;
  const keeps =
    scenario.promise === 'told' ? servedAgain === again.length : correctShare >= leastShare;
  const passed = met > 0 && keeps && wrong.length === 0 && charactersLost + charactersDoubled === 0;
  const bad = wrong[0] ?? interrupted.find((one) => !isWhole(one) && one.end !== 'left');
  return {
    scenario: scenario.name,
    passed,
    correctShare: round3(correctShare),
    streams: streams.length,
    met,
    interrupted: interrupted.length,
    interruptedCorrect: interrupted.filter(isWhole).length,
    told: streams.filter(({ end }) => end === 'told' || end === 'cut').length,
    charactersLost,
    charactersDoubled,
    firstTokenMs: spreadOf(firsts),
    nextTokenMs: spreadOf(gaps),
    freeSlotMs: spread(rounds.map((round) => round.freeSlotMs)),
    askedAgain: again.length,
    servedAgain,
    why:
      met === 0
        ? nobody
        : bad === undefined
          ? null
          : `${bad.end} ${bad.status} ${bad.why} ${bad.text.slice(-40)}`,
  };
}

const nobody = 'nobody met it: ask for longer answers (--pieces) or more of them (--streams)';

/** How long continued streams were silent; where all waited for an agent, from its start on. */
function gapsOf({ streams, brokenAtMs }: Round, { name }: Scenario): number[] {
  if (name === 'all_agents_down') {
    return streams.flatMap(({ piecesAtMs }) => (piecesAtMs[0] ?? brokenAtMs) - brokenAtMs);
  }
  return streams.flatMap((one) => (one.resumed > 0 ? (gapAfter(one, brokenAtMs) ?? []) : []));
}

function sumOf(all: ScenarioFigures[]): ChaosFigures {
  const sum = (of: (one: ScenarioFigures) => number): number =>
    all.reduce((total, one) => total + of(one), 0);
  const promised = new Set(
    scenarios.filter(({ promise }) => promise === 'complete').map(({ name }) => name),
  );
  const goOn = all.filter(({ scenario }) => promised.has(scenario));
  const interrupted = goOn.reduce((total, one) => total + one.interrupted, 0);
  const correct = goOn.reduce((total, one) => total + one.interruptedCorrect, 0);
  const share = interrupted === 0 ? 1 : correct / interrupted;
  return {
    passed: all.every(({ passed }) => passed) && share >= leastShare,
    interruptedCorrectShare: round3(share),
    charactersLost: sum((one) => one.charactersLost),
    charactersDoubled: sum((one) => one.charactersDoubled),
    scenarios: all,
  };
}

const spreadOf = (values: readonly number[]): { median: number; most: number } | null =>
  values.length === 0 ? null : spread(values);

function spread(values: readonly number[]): { median: number; most: number } {
  const sorted = values.toSorted((one, other) => one - other);
  const median = Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0);
  return { median, most: Math.round(sorted.at(-1) ?? 0) };
}

const round3 = (share: number): number => Math.floor(share * 1000) / 1000;

function lineOf(figures: ScenarioFigures): string {
  const { scenario, passed, streams, interrupted, interruptedCorrect, nextTokenMs } = figures;
  const first =
    figures.firstTokenMs === null ? '' : `, first token at most ${figures.firstTokenMs.most} ms`;
  const next = nextTokenMs === null ? '' : `, next token ${nextTokenMs.median} ms`;
  const free = `, slots free after ${figures.freeSlotMs.median} ms`;
  const torn = `, ${figures.charactersLost + figures.charactersDoubled} characters lost or doubled`;
  const why = figures.why === null ? '' : ` (${figures.why})`;
  const share = `${figures.correctShare * 100} % of ${streams} correct, ${figures.met} met it`;
  const broken = `${interruptedCorrect} of ${interrupted} interrupted`;
  const verdict = passed ? 'ok  ' : 'FAIL';
  return `${verdict} ${scenario}: ${share}, ${broken}${torn}${first}${next}${free}${why}`;
}
