/** What `xim chaos` does to a fleet, over the API alone, while streams run. */
import type { EndpointAnswer } from '../../api/control/endpoints.ts';
import type { StatusAnswer } from '../../api/control/status.ts';
import { sleep, type Clock } from '../../lib/clock.ts';
import { askModel } from '../chat/askModel.ts';
import type { ChatTarget } from '../chat/chatTarget.ts';
import type { Stopping } from '../command.ts';
import { endCommand, type ServerSession } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import {
  fleetScenario,
  type FleetRound,
  type FleetScenario,
  type FleetStream,
} from './chaosFigures.ts';
import { askedEndpoint, endIfStopped, resume, servingAgents, withStopped } from './fleetAgents.ts';

export interface FleetChaos {
  session: ServerSession;
  target: ChatTarget;
  clock: Clock;
  question: string;
  streams: number;
  downMs: number;
  /** Streams hang up, nothing new begins, and what was stopped is resumed. */
  stopping: Stopping;
  /** That name the context of this run, for commands to type. */
  serverFlags: readonly string[];
  tell: (text: string) => void;
}

export interface FleetFigures {
  chaos: 'fleet';
  server: string;
  passed: boolean;
  /** Characters lost or doubled show only where the model repeats itself. */
  textsCompared: boolean;
  scenarios: FleetScenario[];
}

/** A run, and the endpoint that it asks. */
interface Run extends FleetChaos {
  endpoint: EndpointAnswer;
}

const longestAnswerTokens = 400;
/** After so many pieces a stream is in its middle. */
const midwayPieces = 5;
const pollMs = 20;
const longestPollMs = 30_000;

export async function runFleetChaos(chaos: FleetChaos): Promise<FleetFigures> {
  const run: Run = { ...chaos, endpoint: await askedEndpoint(chaos) };
  const agents = await servingAgents(run, run.endpoint);
  if (agents.length < 2) {
    const whom = `fewer than two active agents of the project may serve ${run.endpoint.slug}`;
    endCommand(`${whom}: nobody could take over.`, exitCodes.failed);
  }
  const reference = await referenceOf(run);
  const rounds: FleetRound[] = [];
  for (const scenario of [cutAgent, drainAgent, clientsLeave, allStopped]) {
    endIfStopped(run);
    const round = await scenario(run);
    rounds.push(round);
    run.tell(`${round.scenario}: done`);
  }
  const scenarios = rounds.map((round) => fleetScenario(round, reference));
  const passed = scenarios.every((one) => one.passed);
  const { server } = run.session.context;
  return { chaos: 'fleet', server, passed, textsCompared: reference !== null, scenarios };
}

// Scenarios

const cutAgent = (run: Run): Promise<FleetRound> => stopOne(run, 'cut');
const drainAgent = (run: Run): Promise<FleetRound> => stopOne(run, 'drain');

/** The agent on which most streams run is suspended. */
async function stopOne(run: Run, mode: 'cut' | 'drain'): Promise<FleetRound> {
  const { streams, read, midway } = begin(run);
  await midway;
  endIfStopped(run);
  const agents = await servingAgents(run, run.endpoint);
  const on = (name: string): FleetStream[] =>
    streams.filter(({ asked, agent }) => asked === null && agent === name);
  const [busiest] = agents.toSorted(
    (one, other) =>
      on(other.name).length - on(one.name).length || (other.in_flight ?? 0) - (one.in_flight ?? 0),
  );
  if (busiest === undefined) endCommand('no agent is active any more.', exitCodes.failed);
  const brokenAtMs = run.clock.monotonic();
  const before = on(busiest.name);
  return withStopped(run, { agents: [busiest], mode }, async () => {
    // What drains runs on behind the word of the server; what is cut may be elsewhere by then.
    const after = on(busiest.name);
    await read;
    endIfStopped(run);
    const met = mode === 'drain' ? after : before.filter(wasCut);
    return {
      scenario: `${mode}_agent`,
      streams,
      met: met.length,
      unmet:
        `no stream ran on ${busiest.name} when it was suspended. Ask for a longer answer ` +
        '(--question) or for more of them (--streams); what shared agents serve is not broken',
      brokenAtMs,
      freeSlotMs: null,
      leaves: false,
    };
  });
}

/** It went on elsewhere, or broke. */
function wasCut({ asked }: FleetStream): boolean {
  return asked?.kind === 'answered' ? asked.resumed > 0 : asked?.kind === 'broken';
}

async function clientsLeave(run: Run): Promise<FleetRound> {
  const leaving = new AbortController();
  const { streams, read, midway } = begin(run, leaving.signal);
  await midway;
  endIfStopped(run);
  const brokenAtMs = run.clock.monotonic();
  const met = streams.filter(({ asked, piecesAtMs }) => asked === null && piecesAtMs.length > 0);
  leaving.abort();
  await read;
  const freeSlotMs = await untilIdle(run);
  return {
    scenario: 'client_hang_up',
    streams,
    met: met.length,
    unmet: 'every stream had ended before its client left. Ask for a longer answer (--question)',
    brokenAtMs,
    freeSlotMs,
    leaves: true,
  };
}

/** Nobody is there; requests wait, and one agent comes before their time is over. */
async function allStopped(run: Run): Promise<FleetRound> {
  const agents = await servingAgents(run, run.endpoint);
  const [first] = agents;
  if (first === undefined) endCommand('no agent is active any more.', exitCodes.failed);
  return withStopped(run, { agents, mode: 'cut' }, async () => {
    const { streams, read } = begin(run);
    await sleep(run.clock, run.downMs, run.stopping.signal);
    endIfStopped(run);
    const met = streams.filter(({ piecesAtMs }) => piecesAtMs.length === 0).length;
    await resume(run, first);
    const brokenAtMs = run.clock.monotonic();
    await read;
    endIfStopped(run);
    const scenario = 'all_agents_down';
    const unmet =
      'every stream was served all the same, by shared agents. Ask an endpoint without fallback ' +
      '(--endpoint)';
    return { scenario, streams, met, unmet, brokenAtMs, freeSlotMs: null, leaves: false };
  });
}

/** Until the server has no request any more, in ms; as long as it is waited for otherwise. */
async function untilIdle({ session, clock, stopping }: Run): Promise<number> {
  const sinceMs = clock.monotonic();
  const path = '/api/v1/status';
  while (!stopping.signal.aborted) {
    const { running } = await session.call<StatusAnswer>({ method: 'GET', path });
    if (running === 0 || clock.monotonic() - sinceMs > longestPollMs) break;
    await sleep(clock, pollMs, stopping.signal);
  }
  return clock.monotonic() - sinceMs;
}

// Streams

/**
 * Starts the streams of a round. `read` resolves when all have ended; `midway` when most of them
 * have some text, or all ended.
 */
function begin(
  run: Run,
  leaving?: AbortSignal,
): { streams: FleetStream[]; read: Promise<void>; midway: Promise<void> } {
  const { promise: midway, resolve } = Promise.withResolvers<void>();
  let begun = 0;
  const onText = (pieces: number): void => {
    if (pieces === midwayPieces) begun += 1;
    if (begun >= run.streams / 2) resolve();
  };
  const all = Array.from({ length: run.streams }, () => ask(run, { leaving, onText }));
  const read = Promise.all(all.map(({ end }) => end)).then(() => resolve());
  return { streams: all.map(({ stream }) => stream), read, midway };
}

/** `end` never rejects. */
function ask(
  { session, target, clock, question, stopping }: Run,
  { leaving, onText }: { leaving?: AbortSignal | undefined; onText: (pieces: number) => void },
): { stream: FleetStream; end: Promise<void> } {
  const { project, endpoint, key } = target;
  const piecesAtMs: number[] = [];
  const stream: FleetStream = { asked: null, agent: null, piecesAtMs, sentAtMs: clock.monotonic() };
  const messages = [{ role: 'user', content: question }];
  const { signal } = stopping;
  const asked = askModel(
    {
      address: session.context,
      key,
      path: `/${encodeURIComponent(project)}/${encodeURIComponent(endpoint)}/v1/chat/completions`,
      body: { model: endpoint, messages, temperature: 0, max_tokens: longestAnswerTokens },
      resume: true,
    },
    {
      signal: leaving === undefined ? signal : AbortSignal.any([signal, leaving]),
      onBegin: (agent) => (stream.agent = agent),
      onText: () => {
        piecesAtMs.push(clock.monotonic());
        onText(piecesAtMs.length);
      },
    },
  );
  return { stream, end: asked.then((one) => void (stream.asked = one)) };
}

/** The text of two undisturbed answers, where they are the same. */
async function referenceOf(run: Run): Promise<string | null> {
  const texts: string[] = [];
  for (let n = 0; n < 2; n += 1) {
    const { stream, end } = ask(run, { onText: () => {} });
    await end;
    endIfStopped(run);
    const { asked } = stream;
    if (asked?.kind !== 'answered') {
      const why = asked !== null && 'message' in asked ? asked.message : asked?.kind;
      endCommand(`the endpoint does not answer: ${why}`, exitCodes.failed);
    }
    texts.push(asked.text);
  }
  return texts[0] === texts[1] ? (texts[0] ?? null) : null;
}
