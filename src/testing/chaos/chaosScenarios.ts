/** What a chaos run does to the stage while streams run, by name. */
import { sleep, systemClock } from '../../lib/clock.ts';
import { until } from '../processes/processes.ts';
import type { FakeBehaviour } from '../engines/fakeEngine.ts';
import type { ChaosMachine, ChaosStage } from './chaosStage.ts';
import { chaosText, readChaosStream, type ChaosStream } from './chaosStream.ts';

export interface ScenarioOptions {
  streams: number;
  /** Words of an answer. */
  pieces: number;
  /** All agents are down for so long, in ms. */
  downMs: number;
}

/** What became of one round. */
export interface Round {
  streams: ChaosStream[];
  /** When it broke; gaps are looked for from then on. */
  brokenAtMs: number;
  /** From when nobody wanted an answer any more until the engines had stopped, in ms. */
  freeSlotMs: number;
  /** Of clients that asked again after the server had gone. */
  again: ChaosStream[];
  /** Requests that what is broken met. */
  met: number;
}

export interface Scenario {
  name: string;
  /**
   * `complete`: streams go on in spite of it. `told`: they may end, but the server says so or its
   * connection does, and who asks again is served.
   */
  promise: 'complete' | 'told';
  run: (stage: ChaosStage, options: ScenarioOptions) => Promise<Round>;
}

let named = 0;

function ask(
  stage: ChaosStage,
  options: ScenarioOptions,
  more: { signal?: AbortSignal; onText?: (stream: ChaosStream) => void } = {},
): Promise<ChaosStream> {
  named += 1;
  const expected = chaosText(`s${named}`, options.pieces);
  return readChaosStream(stage.target, { expected, ...more });
}

/** Starts the streams of a round; `midway` resolves when most of them have some text. */
function begin(
  stage: ChaosStage,
  options: ScenarioOptions,
  signal?: AbortSignal,
): { reading: Promise<ChaosStream[]>; midway: Promise<void> } {
  const { promise: midway, resolve } = Promise.withResolvers<void>();
  let begun = 0;
  const onText = ({ piecesAtMs }: ChaosStream): void => {
    if (piecesAtMs.length === 5) begun += 1;
    if (begun >= options.streams / 2) resolve();
  };
  const more = signal === undefined ? { onText } : { onText, signal };
  const reading = Promise.all(
    Array.from({ length: options.streams }, () => ask(stage, options, more)),
  );
  return { reading, midway };
}

async function untilIdle(stage: ChaosStage): Promise<number> {
  const sinceMs = systemClock.monotonic();
  while (stage.active() > 0) {
    if (systemClock.monotonic() - sinceMs > 15_000) break;
    await sleep(systemClock, 1);
  }
  return systemClock.monotonic() - sinceMs;
}

/** Breaks something when the streams are in their middle, and puts it right afterwards. */
const inMidStream =
  (
    break_: (stage: ChaosStage, busiest: ChaosMachine) => Promise<void> | void,
    heal: (stage: ChaosStage) => Promise<void> | void = () => {},
  ): Scenario['run'] =>
  async (stage, options) => {
    const { reading, midway } = begin(stage, options);
    await midway;
    const busiest = stage.busiest();
    const met = busiest.engine.stats().active;
    const brokenAtMs = systemClock.monotonic();
    await break_(stage, busiest);
    const streams = await reading;
    const freeSlotMs = await untilIdle(stage);
    await heal(stage);
    return { streams, brokenAtMs, freeSlotMs, again: [], met };
  };

/** The machines, first the one that the router likes least just now. */
async function leastLikedFirst(
  stage: ChaosStage,
  options: ScenarioOptions,
): Promise<ChaosMachine[]> {
  const before = new Map(stage.up.map((one) => [one, one.engine.stats().started]));
  const few = { ...options, streams: Math.ceil(options.streams / 2), pieces: 6 };
  await begin(stage, few).reading;
  const served = (one: ChaosMachine): number => one.engine.stats().started - (before.get(one) ?? 0);
  return stage.up.toSorted((one, other) => served(one) - served(other));
}

/**
 * Breaks all engines but one before the streams begin. Where the router had all streams served by
 * the one that is well, nothing was broken, and another one is.
 */
const fromTheStart =
  (behaviour: Partial<FakeBehaviour>): Scenario['run'] =>
  async (stage, options) => {
    let round: Round | undefined;
    for (const well of await leastLikedFirst(stage, options)) {
      round = await withBroken(stage, { ...options, well, behaviour });
      if (round.met > 0) break;
    }
    if (round === undefined) throw new Error('no agent is up');
    return round;
  };

async function withBroken(
  stage: ChaosStage,
  options: ScenarioOptions & { well: ChaosMachine; behaviour: Partial<FakeBehaviour> },
): Promise<Round> {
  const broken = stage.up.filter((one) => one !== options.well);
  const started = (): number => broken.reduce((sum, { engine }) => sum + engine.stats().started, 0);
  const before = started();
  const brokenAtMs = systemClock.monotonic();
  for (const one of broken) stage.breakEngine(one, options.behaviour);
  const streams = await begin(stage, options).reading;
  const freeSlotMs = await untilIdle(stage);
  stage.healEngines();
  return { streams, brokenAtMs, freeSlotMs, again: [], met: started() - before };
}

/** It had not ended at a moment. */
const outlived = ({ end, piecesAtMs }: ChaosStream, momentMs: number): boolean =>
  end !== 'whole' || (piecesAtMs.at(-1) ?? momentMs) > momentMs;

/** The server ends in mid-stream and starts again; clients whose stream ended ask once more. */
const withServerGone =
  (signal: NodeJS.Signals): Scenario['run'] =>
  async (stage, options) => {
    const { reading, midway } = begin(stage, options);
    await midway;
    const brokenAtMs = systemClock.monotonic();
    await stage.stopServer(signal);
    const streams = await reading;
    await stage.startServer();
    await stage.untilServing();
    const lost = streams.filter(({ end }) => end !== 'whole');
    const again = await Promise.all(lost.map(() => ask(stage, options)));
    const met = streams.filter((one) => outlived(one, brokenAtMs)).length;
    return { streams, brokenAtMs, freeSlotMs: await untilIdle(stage), again, met };
  };

/** Nobody is there; requests wait, and one agent comes before their time is over. */
async function allDown(stage: ChaosStage, options: ScenarioOptions): Promise<Round> {
  const { up } = stage;
  await Promise.all(up.map((machine) => stage.kill(machine)));
  const { reading } = begin(stage, options);
  await sleep(systemClock, options.downMs);
  const [first, ...others] = up;
  if (first === undefined) throw new Error('no agent was up');
  await stage.start(first);
  const brokenAtMs = systemClock.monotonic();
  const streams = await reading;
  const freeSlotMs = await untilIdle(stage);
  for (const machine of others) await stage.start(machine);
  return { streams, brokenAtMs, freeSlotMs, again: [], met: streams.length };
}

/** Every client leaves in the middle. */
async function hangUps(stage: ChaosStage, options: ScenarioOptions): Promise<Round> {
  const leaving = new AbortController();
  const { reading, midway } = begin(stage, options, leaving.signal);
  await midway;
  await until(() => stage.active() >= options.streams, { what: 'all streams at engines' });
  const brokenAtMs = systemClock.monotonic();
  leaving.abort();
  const freeSlotMs = await untilIdle(stage);
  const streams = await reading;
  const met = streams.filter(({ end }) => end === 'left').length;
  return { streams, brokenAtMs, freeSlotMs, again: [], met };
}

const restartDown = async (stage: ChaosStage): Promise<void> => {
  for (const machine of stage.machines) await stage.start(machine);
};

const complete = (name: string, run: Scenario['run']): Scenario => {
  return { name, promise: 'complete', run };
};

export const scenarios: readonly Scenario[] = [
  complete(
    'kill_agent',
    inMidStream((stage, busiest) => stage.kill(busiest), restartDown),
  ),
  complete('stall', fromTheStart({ fault: 'stall', after: 15 })),
  complete('malformed_chunk', fromTheStart({ fault: 'malformed', after: 15 })),
  complete('slow_first_byte', fromTheStart({ firstByteMs: 20_000 })),
  complete('hung_engine', fromTheStart({ fault: 'stall' })),
  complete('burst_of_5xx', fromTheStart({ fault: 'status', status: 503, times: 6 })),
  complete(
    'duplicate_link',
    inMidStream((stage, busiest) => stage.duplicate(busiest)),
  ),
  { name: 'client_hang_up', promise: 'told', run: hangUps },
  { name: 'router_restart', promise: 'told', run: withServerGone('SIGTERM') },
  { name: 'router_killed', promise: 'told', run: withServerGone('SIGKILL') },
  complete('all_agents_down', allDown),
];
