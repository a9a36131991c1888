/** What came of one thing that `xim chaos` broke. */
import type { Asked } from '../chat/askModel.ts';

/** A stream of the run. Times are monotonic ms. */
export interface FleetStream {
  /** Null while it runs. */
  asked: Asked | null;
  /** Who serves it, as the server names him; null: it has not begun. */
  agent: string | null;
  /** Of each piece of text. */
  piecesAtMs: number[];
  sentAtMs: number;
}

export interface FleetRound {
  scenario: string;
  streams: FleetStream[];
  /** Streams that met what was broken. */
  met: number;
  /** Why that may be none. */
  unmet: string;
  /** When it broke, or, where all agents were stopped, when one was resumed. */
  brokenAtMs: number;
  /** Until the server had no request of clients that left any more, in ms; null: none left. */
  freeSlotMs: number | null;
  /** Its clients leave by themselves. */
  leaves: boolean;
}

export interface FleetScenario {
  scenario: string;
  passed: boolean;
  streams: number;
  /** Streams that met what was broken. A scenario that nobody met does not pass. */
  met: number;
  /** Read to their end. */
  correctShare: number;
  /** Ended with an error that says so. */
  told: number;
  /** Why streams were never begun: the messages, each once, at most three of them. */
  refusals: string[];
  /** Texts that are not the undisturbed one; null: the model does not repeat itself. */
  wrong: number | null;
  /** The longest silence after it broke, of streams that went on. */
  nextTokenMs: { median: number; most: number } | null;
  freeSlotMs: number | null;
  /** Why it does not pass, where no stream says so. */
  why: string | null;
}

/** `reference`: the text of an undisturbed answer; null: it differs from one to the next. */
export function fleetScenario(round: FleetRound, reference: string | null): FleetScenario {
  const { streams, scenario, met, brokenAtMs, freeSlotMs, leaves } = round;
  const whole = streams.filter(({ asked }) => asked?.kind === 'answered').length;
  const told = streams.filter(({ asked }) => asked?.kind === 'broken').length;
  const refusals = [...new Set(streams.flatMap(({ asked }) => refusalOf(asked)))].slice(0, 3);
  const wrong = reference === null ? null : streams.filter((one) => isWrong(one, reference)).length;
  const gaps = streams.flatMap((one) => gapAfter(one, brokenAtMs) ?? []);
  const correctShare = streams.length === 0 ? 0 : whole / streams.length;
  const ended = leaves || correctShare >= leastShare;
  const passed = met > 0 && ended && (wrong ?? 0) === 0;
  return {
    scenario,
    passed,
    streams: streams.length,
    met,
    correctShare: Math.floor(correctShare * 1000) / 1000,
    told,
    refusals,
    wrong,
    nextTokenMs: leaves || gaps.length === 0 ? null : spread(gaps),
    freeSlotMs: freeSlotMs === null ? null : Math.round(freeSlotMs),
    why: met === 0 ? `nobody met it: ${round.unmet}` : null,
  };
}

const leastShare = 0.99;

function refusalOf(asked: Asked | null): string[] {
  if (asked?.kind === 'refused') return [`${asked.status} ${asked.message}`];
  return asked?.kind === 'unreachable' ? [asked.message] : [];
}

/** Lost or doubled characters show here: what is whole is all of it, the rest begins it. */
function isWrong({ asked }: FleetStream, reference: string): boolean {
  if (asked?.kind === 'answered') return asked.text !== reference;
  if (asked?.kind === 'broken' || asked?.kind === 'cancelled') {
    return !reference.startsWith(asked.text);
  }
  return false;
}

function gapAfter({ piecesAtMs, sentAtMs }: FleetStream, momentMs: number): number | undefined {
  let longest: number | undefined;
  for (const [n, atMs] of piecesAtMs.entries()) {
    if (atMs < momentMs) continue;
    const before = Math.max(piecesAtMs[n - 1] ?? sentAtMs, n === 0 ? momentMs : 0);
    longest = Math.max(longest ?? 0, atMs - before);
  }
  return longest;
}

function spread(values: readonly number[]): { median: number; most: number } {
  const sorted = values.toSorted((one, other) => one - other);
  const median = Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0);
  return { median, most: Math.round(sorted.at(-1) ?? 0) };
}

/** One line for a person. */
export function chaosText(one: FleetScenario): string {
  const { scenario, passed, streams, met, correctShare, told, refusals, why } = one;
  const { wrong, nextTokenMs, freeSlotMs } = one;
  const parts = [
    `${Math.round(correctShare * 1000) / 10} % of ${streams} streams correct`,
    `${met} met it`,
    `${told} told`,
    wrong === null ? 'texts not compared' : `${wrong} wrong`,
    ...(nextTokenMs === null ? [] : [`next token after ${nextTokenMs.median} ms`]),
    ...(freeSlotMs === null ? [] : [`slots free after ${freeSlotMs} ms`]),
    ...refusals,
    ...(why === null ? [] : [why]),
  ];
  return `${passed ? 'ok  ' : 'FAIL'} ${scenario}: ${parts.join(', ')}\n`;
}
