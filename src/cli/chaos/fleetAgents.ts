/**
 * The agents that `xim chaos` breaks: those of the project that may serve the endpoint which is
 * asked. Whatever it stops, it resumes, also when it is told to stop itself.
 */
import type { AgentAnswer } from '../../api/control/agents.ts';
import type { EndpointAnswer } from '../../api/control/endpoints.ts';
import { shellQuote } from '../../api/joinCommand.ts';
import { sleep } from '../../lib/clock.ts';
import type { CallOutcome } from '../connection/callServer.ts';
import { endCommand } from '../connection/withServer.ts';
import { exitCodes } from '../exitCodes.ts';
import { readPages } from '../resources/reference.ts';
import type { FleetChaos } from './fleetChaos.ts';

/** Agents that are stopped or resumed at once. */
const lanes = 16;
/** So often a resume is asked for that the server could not take, with a pause in ms between. */
const resumeTries = 3;
const resumeAgainMs = 1000;
/** How long resumed agents are waited for, and how often they are looked for, in ms. */
const longestReturnMs = 30_000;
const lookEveryMs = 250;

/** The endpoint that is asked; ends the command where there is none. */
export async function askedEndpoint(chaos: FleetChaos): Promise<EndpointAnswer> {
  const { session, target } = chaos;
  const path = `${session.scopePath(false)}/endpoints`;
  const { data } = await readPages<EndpointAnswer>(session, { path, query: {}, limit: Infinity });
  const found = data.find(({ slug, id }) => slug === target.endpoint || id === target.endpoint);
  if (found !== undefined) return found;
  endCommand(
    `there is no endpoint "${target.endpoint}". See those there are: xim endpoints list`,
    exitCodes.refused,
  );
}

/** Agents of the project that are active and may serve the endpoint. */
export async function servingAgents(
  chaos: FleetChaos,
  endpoint: EndpointAnswer,
): Promise<AgentAnswer[]> {
  return (await activeAgents(chaos)).filter((agent) => mayServe(agent, endpoint));
}

/** By tier and by binding, which holds from both sides. */
function mayServe(agent: AgentAnswer, endpoint: EndpointAnswer): boolean {
  const { bound_endpoint_ids: boundTo, effective_tiers: tiers } = agent;
  if (!tiers.includes(endpoint.tier)) return false;
  return boundTo === null ? !endpoint.exclusive : boundTo.includes(endpoint.id);
}

async function activeAgents({ session }: FleetChaos): Promise<AgentAnswer[]> {
  const path = `${session.scopePath(false)}/agents`;
  const query = { state: 'active' };
  return (await readPages<AgentAnswer>(session, { path, query, limit: Infinity })).data;
}

/**
 * Suspends agents, and resumes them whatever `work` comes to. Those that cannot be resumed are
 * named, and the command ends.
 */
export async function withStopped<Result>(
  chaos: FleetChaos,
  stop: { agents: readonly AgentAnswer[]; mode: 'cut' | 'drain' },
  work: () => Promise<Result>,
): Promise<Result> {
  const { agents, mode } = stop;
  const ids = agents.map(({ id }) => id).join(', ');
  const how = resumeCommand(chaos, 'ID');
  chaos.tell(`suspending ${ids} (${mode}); if this is killed, resume each with: ${how}`);
  const asked: AgentAnswer[] = [];
  const broken = async (): Promise<Result> => {
    await inLanes(agents, async (agent) => {
      endIfStopped(chaos);
      asked.push(agent);
      await chaos.session.call(stateCall(chaos, agent, { verb: 'suspend', mode }));
    });
    return work();
  };
  const [outcome] = await Promise.allSettled([broken()]);
  const left = await resumeAll(chaos, asked);
  if (outcome.status === 'rejected') throw outcome.reason;
  if (left > 0) endCommand('agents are left suspended.', exitCodes.failed);
  await untilBack(chaos, agents);
  return outcome.value;
}

export async function resume(chaos: FleetChaos, agent: AgentAnswer): Promise<void> {
  await chaos.session.call(stateCall(chaos, agent, { verb: 'resume' }));
}

/** Ends the command when it was told to stop: nothing new begins from then on. */
export function endIfStopped({ stopping }: FleetChaos): void {
  if (stopping.signal.aborted) endCommand('interrupted.', stopping.exitCode());
}

/** Resumes each, whatever comes of the others. Gives how many could not be; those were named. */
async function resumeAll(chaos: FleetChaos, agents: readonly AgentAnswer[]): Promise<number> {
  let left = 0;
  await inLanes(agents, async (agent) => {
    const why = await resumeFailure(chaos, agent);
    if (why === undefined) return;
    left += 1;
    const how = resumeCommand(chaos, agent.id);
    chaos.tell(`${agent.name} may be left suspended (${why}). Resume it with: ${how}`);
  });
  return left;
}

/** Undefined: it is suspended no more, which somebody who removed it has seen to as well. */
async function resumeFailure(chaos: FleetChaos, agent: AgentAnswer): Promise<string | undefined> {
  for (let tries = 1; ; tries += 1) {
    const outcome = await chaos.session.ask(stateCall(chaos, agent, { verb: 'resume' }));
    if (outcome.kind === 'ok') return undefined;
    if (outcome.kind === 'refused' && outcome.code === 'agent_dead') return undefined;
    if (tries === resumeTries || !mayPass(outcome)) return outcome.message;
    await sleep(chaos.clock, resumeAgainMs);
  }
}

/** What is over in a moment: a server that starts again, a store that is away. */
function mayPass(outcome: Exclude<CallOutcome<unknown>, { kind: 'ok' }>): boolean {
  return outcome.kind === 'unreachable' || outcome.status >= 500 || outcome.status === 429;
}

function stateCall(
  { session }: FleetChaos,
  { id }: AgentAnswer,
  { verb, ...body }: { verb: 'suspend' | 'resume'; mode?: 'cut' | 'drain' },
): { method: 'POST'; path: string; body: object } {
  const path = `${session.scopePath(false)}/agents/${id}/${verb}`;
  return { method: 'POST', path, body };
}

/** As it is typed, for the server and the project of this run. */
function resumeCommand({ session, serverFlags }: FleetChaos, id: string): string {
  const flags = ['--project', session.project(), ...serverFlags].map(shellQuote);
  return `xim agents resume ${id} ${flags.join(' ')}`;
}

/** Until all of them are active again, for a while. */
async function untilBack(chaos: FleetChaos, agents: readonly AgentAnswer[]): Promise<void> {
  const { clock, stopping } = chaos;
  const wanted = new Set(agents.map(({ id }) => id));
  const sinceMs = clock.monotonic();
  while (!stopping.signal.aborted) {
    for (const { id } of await activeAgents(chaos)) wanted.delete(id);
    if (wanted.size === 0) return;
    if (clock.monotonic() - sinceMs > longestReturnMs) {
      const seconds = longestReturnMs / 1000;
      return chaos.tell(`${wanted.size} of ${agents.length} are not back after ${seconds} s`);
    }
    await sleep(clock, lookEveryMs, stopping.signal);
  }
}

/**
 * Some at a time. After a failure no other one is begun, and what is under way is waited for:
 * what is undone afterwards must not be overtaken by it.
 */
async function inLanes<Item>(
  items: readonly Item[],
  each: (item: Item) => Promise<void>,
): Promise<void> {
  const rest = [...items];
  const lane = async (): Promise<void> => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) {
      try {
        await each(item);
      } catch (error) {
        rest.length = 0;
        throw error;
      }
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: lanes }, lane));
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
