/**
 * What agents log. The log of an agent is its owner's. What a shared agent logs of a request is the
 * request's project's, and stands in the log of that project.
 */
import type { logContracts } from '../../api/control/logs.ts';
import type { Control } from '../../control/control.ts';
import type { Caller, Denied } from '../../control/principal.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { decodeCursor } from '../../lib/page.ts';
import type { LogName, LogPlace } from '../../router/logs/logBook.ts';
import type { HttpLimits } from '../limits.ts';
import type { ControlCall } from '../control/controlCall.ts';
import type { ControlContext } from '../control/controlContext.ts';
import type { LiveStreams } from '../live/liveStreams.ts';
import type { LiveView } from '../live/liveView.ts';
import { followLog, logCursor, logEntryAnswer } from './logStream.ts';
import { ofPlatform, ofProject, type OwnerOf } from '../control/ownerOf.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

interface Options {
  control: Pick<Control, 'agent' | 'project'>;
  router: Pick<LiveView, 'logs'>;
  streams: LiveStreams;
  clock: Clock;
  log: Logger;
  limits: Pick<HttpLimits, 'liveRecheckMs'>;
  /** Who calls, as of now; undefined: nobody any more. */
  callerNow: (context: ControlContext) => Promise<Caller | undefined>;
}

type Contracts = typeof logContracts;
type LogCall = ControlCall<Contracts['agentLogs']>;

/** Whose log it is, if the caller may read it. */
type FindLog = (caller: Caller) => Promise<FoundLog | { ok: false; reason: 'not_found' } | Denied>;

interface FoundLog {
  ok: true;
  name: LogName;
  /** The project that it belongs to; null: the platform. */
  owner: string | null;
  /** Nothing more will come. */
  isOver: boolean;
}

export function createLogRoutes(options: Options): TopicHandlers<Contracts> {
  const { control } = options;
  const ofAgent =
    (ownerOf: OwnerOf) =>
    (call: LogCall): Promise<Response> => {
      const asked = { owner: ownerOf(call), agentId: call.part('agent') };
      return answerLog(options, call, async (caller) => {
        const found = await control.agent({ ...asked, caller });
        if (!found.ok) return found;
        const { id, state, projectId: owner } = found.agent;
        return { ok: true, name: `agent:${id}`, owner, isOver: state === 'dead' };
      });
    };
  return {
    agentLogs: ofAgent(ofProject),
    platformAgentLogs: ofAgent(ofPlatform),
    projectLogs: (call) =>
      answerLog(options, call, async (caller) => {
        const found = await control.project({ caller, project: call.part('project') });
        if (!found.ok) return found;
        const { id } = found.project;
        return { ok: true, name: `project:${id}`, owner: id, isOver: false };
      }),
  };
}

async function answerLog(options: Options, call: LogCall, find: FindLog): Promise<Response> {
  const found = await find(call.caller);
  if (!found.ok) return call.refuse(found);
  const { name, owner, isOver } = found;
  const { limit, follow } = call.query;
  // A browser that has lost its stream names the last event that it has seen.
  const cursor = call.query.after ?? call.context.req.header('last-event-id');
  const after = cursor === undefined ? null : placeOf(cursor);
  if (after === undefined) {
    const message = "'after' is neither a next_cursor nor the id of an event of a log.";
    return call.refuse({ reason: 'invalid_value', param: 'after', message });
  }
  const { logs } = options.router;
  if (follow === 'true') {
    if (isOver) return call.refuse({ reason: 'agent_dead' });
    const { streams, clock, limits } = options;
    const { liveRecheckMs: recheckMs } = limits;
    const mayGoOn = (): Promise<boolean> => isStillOpen(options, { call, find });
    return streams.answer(call.context, owner, (signal) =>
      followLog({ logs, name, after, limit, clock, signal, recheckMs, mayGoOn }),
    );
  }
  const { entries, place, more } = logs.read(name, { after, limit });
  return call.json({
    data: entries.map(logEntryAnswer),
    has_more: more,
    next_cursor: logCursor(place),
  });
}

async function isStillOpen(
  { callerNow, log }: Options,
  { call, find }: { call: LogCall; find: FindLog },
): Promise<boolean> {
  try {
    const caller = await callerNow(call.context);
    if (caller === undefined) return false;
    const found = await find(caller);
    return found.ok && !found.isOver;
  } catch (error) {
    // A slow or absent database ends no stream.
    log.warn({ err: error }, 'whether a log may be followed on cannot be found out');
    return true;
  }
}

/** Undefined: not a cursor of a log. */
function placeOf(cursor: string): LogPlace | undefined {
  const [epoch, seq] = decodeCursor(cursor, ['string', 'number']) ?? [];
  return epoch === undefined ? undefined : { epoch: String(epoch), seq: Number(seq) };
}
