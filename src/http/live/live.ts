/**
 * `GET /api/v1/projects/{project}/live`: what the dashboard paints, as server-sent events. One
 * `snapshot` a second at most, and only when something changed; one each `liveKeepAliveMs` in any
 * case, so that a silent stream is a broken one.
 *
 * V3 Each ends with its session or key, and shows what its caller's role of now may see, within
 *    `liveRecheckMs` (`liveStreams.ts` has V1 and V2).
 */
import type { LiveSnapshot, statusContracts } from '../../api/control/status.ts';
import type { Control } from '../../control/control.ts';
import type { Caller } from '../../control/principal.ts';
import { sleep, type Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { liveKeepAliveMs, liveRequests, type HttpLimits } from '../limits.ts';
import type { AgentAnswers } from '../agents/agentAnswer.ts';
import type { ControlHandler } from '../control/controlCall.ts';
import type { ControlContext } from '../control/controlContext.ts';
import type { ControlRefusal } from '../control/controlRefusals.ts';
import type { EndpointAnswerOf } from '../catalogue/endpointAnswer.ts';
import { isoTime } from '../control/isoTime.ts';
import type { LiveStreams } from './liveStreams.ts';
import type { ProjectAnswers } from '../projects/projectRoutes.ts';

interface Options {
  control: Pick<Control, 'project' | 'agents' | 'endpoints' | 'recentRequests'>;
  agents: AgentAnswers;
  projects: ProjectAnswers;
  endpointAnswer: EndpointAnswerOf;
  clock: Clock;
  log: Logger;
  limits: HttpLimits;
  streams: LiveStreams;
  /** Who calls, as of now; undefined: nobody any more (V3). */
  callerNow: (context: ControlContext) => Promise<Caller | undefined>;
}

type Snapshot = { ok: true; snapshot: LiveSnapshot } | ({ ok: false } & ControlRefusal);

export function createLiveRoute(options: Options): ControlHandler<typeof statusContracts.live> {
  return async ({ caller, context, part, refuse }) => {
    const viewer = { caller, project: part('project') };
    const watched = await options.control.project(viewer);
    if (!watched.ok) return refuse(watched);
    const first = await snapshotOf(options, viewer);
    if (!first.ok) return refuse(first);
    const { snapshot } = first;
    return options.streams.answer(context, watched.project.id, (signal) =>
      follow(options, { context, viewer, first: snapshot, signal }),
    );
  };
}

interface Viewer {
  caller: Caller;
  project: string;
}

/** The events of one stream, as bytes. Ends when the caller may see no more. */
async function* follow(
  options: Options,
  stream: { context: ControlContext; viewer: Viewer; first: LiveSnapshot; signal: AbortSignal },
): AsyncGenerator<Uint8Array, void, undefined> {
  const { clock, limits, log } = options;
  const { context, first, signal } = stream;
  let { viewer } = stream;
  let shown = comparable(first);
  let sentAtMs = clock.monotonic();
  let checkedAtMs = sentAtMs;
  yield event(first);
  while ((await sleep(clock, limits.liveIntervalMs, signal)) === 'elapsed') {
    const nowMs = clock.monotonic();
    if (nowMs - checkedAtMs >= limits.liveRecheckMs) {
      const caller = await options.callerNow(context);
      if (caller === undefined) return;
      viewer = { ...viewer, caller };
      checkedAtMs = nowMs;
    }
    const next = await snapshotOf(options, viewer).catch((error: unknown) => {
      // A slow or absent database ends no stream: the browser sees that nothing comes.
      log.warn({ err: error }, 'no live snapshot');
      return undefined;
    });
    if (next === undefined) continue;
    if (!next.ok) return;
    const text = comparable(next.snapshot);
    if (text === shown && nowMs - sentAtMs < liveKeepAliveMs) continue;
    shown = text;
    sentAtMs = nowMs;
    yield event(next.snapshot);
  }
}

/** Everything but the time of the snapshot itself. */
function comparable(snapshot: LiveSnapshot): string {
  return JSON.stringify({ ...snapshot, at: '', status: { ...snapshot.status, now: '' } });
}

function event(snapshot: LiveSnapshot): Uint8Array {
  return Buffer.from(`event: snapshot\ndata: ${JSON.stringify(snapshot)}\n\n`);
}

async function snapshotOf(options: Options, viewer: Viewer): Promise<Snapshot> {
  const { control, agents, projects, endpointAnswer, clock } = options;
  const { caller, project } = viewer;
  const owner = { kind: 'project', project } as const;
  const [listed, endpoints, requests, status] = await Promise.all([
    control.agents({ caller, owner }),
    control.endpoints({ caller, project }),
    control.recentRequests({ caller, project, page: { after: null, limit: liveRequests } }),
    projects.status(caller),
  ]);
  if (!listed.ok) return listed;
  if (!endpoints.ok) return endpoints;
  if (!requests.ok) return requests;
  return {
    ok: true,
    snapshot: {
      at: isoTime(clock.now()),
      status,
      agents: agents.all(listed.agents.items),
      endpoints: endpoints.endpoints.items.map(endpointAnswer),
      requests: projects.requests(requests.requests.items),
    },
  };
}
