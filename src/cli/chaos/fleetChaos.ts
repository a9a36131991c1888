/** What `xim chaos` does to a fleet, over the API alone. Whatever it stops, it resumes. */
import type { AgentAnswer } from '../../api/control/agents.ts';
import type { ListAnswer } from '../../api/control/lists.ts';
import type { StatusAnswer } from '../../api/control/status.ts';
import { sleep, type Clock } from '../../lib/clock.ts';
import { askModel } from '../chat/askModel.ts';
import type { ChatTarget } from '../chat/chatTarget.ts';
import { endCommand, type ServerSession } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import {
  fleetScenario,
  type FleetRound,
  type FleetScenario,
  type FleetStream,
} from './chaosFigures.ts';

export interface FleetChaos {
  session: ServerSession;
  target: ChatTarget;
  clock: Clock;
  question: string;
  streams: number;
  downMs: number;
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

const longestAnswerTokens = 400;
/** After so many pieces a stream is in its middle. */
const midwayPieces = 5;
const pollMs = 20;
const longestPollMs = 30_000;

export async function runFleetChaos(chaos: FleetChaos): Promise<FleetFigures> {
  const agents = await activeAgents(chaos);
  if (agents.length < 2) {
    const message = 'fewer than two agents of the project are active: nobody could take over.';
    endCommand(message, exitCodes.failed);
  }
  const reference = await referenceOf(chaos);
  const rounds: FleetRound[] = [];
  for (const run of [cutAgent, drainAgent, clientsLeave, allStopped]) {
    const round = await run(chaos);
    rounds.push(round);
    chaos.tell(`${round.scenario}: done`);
  }
  const scenarios = rounds.map((round) => fleetScenario(round, reference));
  const passed = scenarios.every((one) => one.passed);
  const { server } = chaos.session.context;
  return { chaos: 'fleet', server, passed, textsCompared: reference !== null, scenarios };
}

// Scenarios

const cutAgent = (chaos: FleetChaos): Promise<FleetRound> => stopOne(chaos, 'cut');
const drainAgent = (chaos: FleetChaos): Promise<FleetRound> => stopOne(chaos, 'drain');

/** The agent on which most runs is suspended in mid-stream. */
async function stopOne(chaos: FleetChaos, mode: 'cut' | 'drain'): Promise<FleetRound> {
  const { reading, midway } = begin(chaos, new AbortController().signal);
  await midway;
  const agents = await activeAgents(chaos);
  const [busiest] = agents.toSorted((one, other) => (other.in_flight ?? 0) - (one.in_flight ?? 0));
  if (busiest === undefined) endCommand('no agent is active any more.', exitCodes.failed);
  const brokenAtMs = chaos.clock.monotonic();
  return withStopped(chaos, { agents: [busiest], mode }, async () => {
    const streams = await reading;
    return { scenario: `${mode}_agent`, streams, brokenAtMs, freeSlotMs: null, leaves: false };
  });
}

async function clientsLeave(chaos: FleetChaos): Promise<FleetRound> {
  const leaving = new AbortController();
  const { reading, midway } = begin(chaos, leaving.signal);
  await midway;
  const brokenAtMs = chaos.clock.monotonic();
  leaving.abort();
  const streams = await reading;
  await until(chaos, async () => (await status(chaos)).running === 0);
  const freeSlotMs = chaos.clock.monotonic() - brokenAtMs;
  return { scenario: 'client_hang_up', streams, brokenAtMs, freeSlotMs, leaves: true };
}

/** Nobody is there; requests wait, and one agent comes before their time is over. */
async function allStopped(chaos: FleetChaos): Promise<FleetRound> {
  const agents = await activeAgents(chaos);
  const [first] = agents;
  if (first === undefined) endCommand('no agent is active any more.', exitCodes.failed);
  return withStopped(chaos, { agents, mode: 'cut' }, async () => {
    const { reading } = begin(chaos, new AbortController().signal);
    await sleep(chaos.clock, chaos.downMs);
    await resume(chaos, first);
    const brokenAtMs = chaos.clock.monotonic();
    const streams = await reading;
    const scenario = 'all_agents_down';
    return { scenario, streams, brokenAtMs, freeSlotMs: null, leaves: false };
  });
}

/** Suspends agents, and resumes them whatever `work` comes to. */
async function withStopped<Result>(
  chaos: FleetChaos,
  stop: { agents: readonly AgentAnswer[]; mode: 'cut' | 'drain' },
  work: () => Promise<Result>,
): Promise<Result> {
  const { agents, mode } = stop;
  const ids = agents.map(({ id }) => id).join(', ');
  chaos.tell(`suspending ${ids} (${mode}); if this ends early: xim agents resume ID`);
  try {
    await Promise.all(agents.map((agent) => command(chaos, agent, { verb: 'suspend', mode })));
    return await work();
  } finally {
    for (const agent of agents) await resume(chaos, agent);
    const wanted = new Set(agents.map(({ id }) => id));
    await until(chaos, async () => {
      const active = await activeAgents(chaos);
      return active.filter(({ id }) => wanted.has(id)).length === wanted.size;
    });
  }
}

// Calls

async function activeAgents({ session }: FleetChaos): Promise<AgentAnswer[]> {
  const path = `${session.scopePath(false)}/agents?limit=500`;
  const { data } = await session.call<ListAnswer<AgentAnswer>>({ method: 'GET', path });
  return data.filter(({ state }) => state === 'active');
}

const status = ({ session }: FleetChaos): Promise<StatusAnswer> =>
  session.call<StatusAnswer>({ method: 'GET', path: '/api/v1/status' });

const resume = (chaos: FleetChaos, agent: AgentAnswer): Promise<unknown> =>
  command(chaos, agent, { verb: 'resume' });

function command(
  { session }: FleetChaos,
  { id }: AgentAnswer,
  { verb, ...body }: { verb: 'suspend' | 'resume'; mode?: 'cut' | 'drain' },
): Promise<unknown> {
  const path = `${session.scopePath(false)}/agents/${id}/${verb}`;
  return session.call({ method: 'POST', path, body });
}

async function until(chaos: FleetChaos, condition: () => Promise<boolean>): Promise<void> {
  const sinceMs = chaos.clock.monotonic();
  while (!(await condition())) {
    if (chaos.clock.monotonic() - sinceMs > longestPollMs) return;
    await sleep(chaos.clock, pollMs);
  }
}

// Streams

/** Starts the streams of a round; `midway` resolves when most of them have some text, or ended. */
function begin(
  chaos: FleetChaos,
  signal: AbortSignal,
): { reading: Promise<FleetStream[]>; midway: Promise<void> } {
  const { promise: midway, resolve } = Promise.withResolvers<void>();
  let begun = 0;
  const onText = (pieces: number): void => {
    if (pieces === midwayPieces) begun += 1;
    if (begun >= chaos.streams / 2) resolve();
  };
  const all = Array.from({ length: chaos.streams }, () => ask(chaos, { signal, onText }));
  const reading = Promise.all(all);
  void reading.then(() => resolve());
  return { reading, midway };
}

async function ask(
  { session, target, clock, question }: FleetChaos,
  { signal, onText }: { signal: AbortSignal; onText: (pieces: number) => void },
): Promise<FleetStream> {
  const { project, endpoint, key } = target;
  const sentAtMs = clock.monotonic();
  const piecesAtMs: number[] = [];
  const messages = [{ role: 'user', content: question }];
  const asked = await askModel(
    {
      address: session.context,
      key,
      path: `/${encodeURIComponent(project)}/${encodeURIComponent(endpoint)}/v1/chat/completions`,
      body: { model: endpoint, messages, temperature: 0, max_tokens: longestAnswerTokens },
      resume: true,
    },
    {
      signal,
      onText: () => {
        piecesAtMs.push(clock.monotonic());
        onText(piecesAtMs.length);
      },
    },
  );
  return { asked, piecesAtMs, sentAtMs };
}

/** The text of two undisturbed answers, where they are the same. */
async function referenceOf(chaos: FleetChaos): Promise<string | null> {
  const { signal } = new AbortController();
  const answers = [await ask(chaos, { signal, onText: () => {} })];
  answers.push(await ask(chaos, { signal, onText: () => {} }));
  const texts = answers.map(({ asked }) => {
    if (asked.kind === 'answered') return asked.text;
    const why = 'message' in asked ? asked.message : asked.kind;
    return endCommand(`the endpoint does not answer: ${why}`, exitCodes.failed);
  });
  return texts[0] === texts[1] ? (texts[0] ?? null) : null;
}
