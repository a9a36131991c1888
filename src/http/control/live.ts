/**
 * `GET /api/v1/projects/{project}/live`: what the dashboard paints, as server-sent events. One
 * `snapshot` a second at most, and only when something changed; one each `liveKeepAliveMs` in any
 * case, so that a silent stream is a broken one.
 *
 * Invariants
 * V1 A browser that does not read costs one pending snapshot: the next is made when it takes more.
 * V2 At most `liveClients` watch at once; each ends with its session or key, within
 *    `liveRecheckMs`.
 */
import type { LiveSnapshot, statusContracts } from '../../api/control/status.ts';
import type { Control } from '../../control/control.ts';
import type { Caller } from '../../control/principal.ts';
import { sleep, type Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { liveKeepAliveMs, liveRecheckMs, liveRequests, type HttpLimits } from '../limits.ts';
import type { AgentAnswers } from './agentAnswer.ts';
import type { ControlHandler } from './controlCall.ts';
import { refuse, type ControlContext } from './controlContext.ts';
import type { ControlRefusal } from './controlRefusals.ts';
import type { EndpointAnswerOf } from './endpointAnswer.ts';
import { isoTime } from './isoTime.ts';
import type { ProjectAnswers } from './projectRoutes.ts';

interface Options {
  control: Pick<Control, 'project' | 'agents' | 'endpoints' | 'recentRequests'>;
  agents: AgentAnswers;
  projects: ProjectAnswers;
  endpointAnswer: EndpointAnswerOf;
  clock: Clock;
  log: Logger;
  limits: HttpLimits;
  /** Ends every stream when the server drains. */
  stopped: AbortSignal;
  /** Whether the caller may still call (V2). */
  stillAllowed: (context: ControlContext) => Promise<boolean>;
}

type Snapshot = { ok: true; snapshot: LiveSnapshot } | ({ ok: false } & ControlRefusal);

export function createLiveRoute(options: Options): ControlHandler<typeof statusContracts.live> {
  const { limits, stopped } = options;
  let watching = 0;

  return async ({ caller, context, part, refuse: refuseBecause }) => {
    if (watching >= limits.liveClients) {
      const message = `At most ${limits.liveClients} browsers may watch at once.`;
      return refuse(context, 'concurrency_exceeded', message, { retryAfterMs: 10_000 });
    }
    const viewer = { caller, project: part('project') };
    const first = await snapshotOf(options, viewer);
    if (!first.ok) return refuseBecause(first);
    const ended = new AbortController();
    const signal = AbortSignal.any([stopped, ended.signal, context.req.raw.signal]);
    watching += 1;
    let counted = true;
    const leave = (): void => {
      ended.abort();
      if (counted) watching -= 1;
      counted = false;
    };
    const snapshots = follow(options, { context, viewer, first: first.snapshot, signal });
    const body = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const next = await snapshots.next();
          if (next.done === true) {
            leave();
            controller.close();
          } else {
            controller.enqueue(next.value);
          }
        },
        cancel: leave,
      },
      // V1: nothing is made ahead.
      { highWaterMark: 0 },
    );
    return new Response(body, {
      headers: {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache, no-transform',
        'x-accel-buffering': 'no',
      },
    });
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
  const { context, viewer, first, signal } = stream;
  let shown = comparable(first);
  let sentAtMs = clock.monotonic();
  let checkedAtMs = sentAtMs;
  yield event(first);
  while ((await sleep(clock, limits.liveIntervalMs, signal)) === 'elapsed') {
    const nowMs = clock.monotonic();
    if (nowMs - checkedAtMs >= liveRecheckMs) {
      if (!(await options.stillAllowed(context))) return;
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
