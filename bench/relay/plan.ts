/** How large and how long the parts of the bench `relay` are. */
import { parseArgs } from 'node:util';
import { contenderNames, type ContenderName } from '../contenders/contender.ts';

/**
 * `random`, `lockstep`: long streams, for CPU per chunk. `timed`: streams that come and go, for
 * times. `requests`: answers in one piece, for CPU per request. `alone`: one at a time. `prompt`:
 * one at a time, with 1 MiB. `many`: streams for memory; once, not in each round.
 */
export const phases = [
  'random',
  'lockstep',
  'timed',
  'requests',
  'alone',
  'prompt',
  'many',
] as const;
export type Phase = (typeof phases)[number];

export interface RelayPlan {
  quick: boolean;
  rounds: number;
  /** Of the phases that give the ratio. */
  streams: number;
  /** Of the phase that gives times at a moderate load. */
  timedStreams: number;
  /** Of the phase that gives memory. */
  manyStreams: number;
  tickMs: number;
  manyTickMs: number;
  /** Connections that send request after request. */
  connections: number;
  /** From the first byte of every stream to the window. */
  settleMs: number;
  /** Requests before the first round. */
  warmUpMs: number;
  /** What is measured in one phase of one contender. */
  window: Record<Phase, number>;
  /** What is run; all of it unless a part is looked at by itself. */
  phases: readonly Phase[];
  contenders: readonly ContenderName[];
  /** Router and agent write CPU profiles there. */
  profileDirectory: string | undefined;
}

const full: RelayPlan = {
  quick: false,
  rounds: 7,
  streams: 300,
  timedStreams: 200,
  manyStreams: 1000,
  tickMs: 40,
  manyTickMs: 400,
  connections: 64,
  settleMs: 500,
  warmUpMs: 4000,
  window: {
    random: 3000,
    lockstep: 2000,
    timed: 3000,
    many: 3000,
    requests: 1500,
    alone: 1000,
    prompt: 1000,
  },
  phases,
  contenders: contenderNames,
  profileDirectory: undefined,
};

const quick: RelayPlan = {
  ...full,
  quick: true,
  rounds: 2,
  warmUpMs: 2500,
  window: {
    random: 1500,
    lockstep: 1000,
    timed: 1000,
    many: 1000,
    requests: 700,
    alone: 400,
    prompt: 400,
  },
};

export const relayHelp = `bench relay: CPU and time that the relay costs, beside nginx and no relay
  --json            one line of JSON on standard output at the end
  --quick           a short version (two minutes)
  --rounds N        rounds of every contender (${full.rounds})
  --streams N       streams of the ratio (${full.streams})
  --many N          streams of the memory phase (${full.manyStreams})
  --window FACTOR   stretches every window
  --phases A,B      only these of ${phases.join(', ')}
  --contenders A,B  only these of ${contenderNames.join(', ')}
  --cpu-prof DIR    router and agent write CPU profiles there
`;

/** Reads the options. Throws a sentence for what it does not know. */
export function relayPlan(args: readonly string[]): RelayPlan {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      quick: { type: 'boolean' },
      rounds: { type: 'string' },
      streams: { type: 'string' },
      many: { type: 'string' },
      window: { type: 'string' },
      phases: { type: 'string' },
      contenders: { type: 'string' },
      'cpu-prof': { type: 'string' },
    },
  });
  const base = values.quick === true ? quick : full;
  const stretch = positive('window', values.window ?? '1');
  const windows = Object.entries(base.window).map(([name, ms]) => [name, ms * stretch]);
  const streams = positive('streams', values.streams ?? String(base.streams));
  return {
    ...base,
    rounds: positive('rounds', values.rounds ?? String(base.rounds)),
    streams,
    timedStreams: Math.min(base.timedStreams, streams),
    manyStreams: positive('many', values.many ?? String(base.manyStreams)),
    connections: Math.min(base.connections, streams),
    window: Object.fromEntries(windows) as RelayPlan['window'],
    phases: chosen(phases, values.phases),
    contenders: chosen(contenderNames, values.contenders),
    profileDirectory: values['cpu-prof'],
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`--${name} takes a positive number`);
}

/** Those of `all` that a list names; all of them without one. */
function chosen<Name extends string>(all: readonly Name[], list: string | undefined): Name[] {
  if (list === undefined) return [...all];
  const names = list.split(',');
  const unknown = names.find((name) => !all.some((one) => one === name));
  if (unknown !== undefined) throw new Error(`'${unknown}' is none of ${all.join(', ')}`);
  return all.filter((one) => names.includes(one));
}
