/**
 * A router for tests of the HTTP plane: the real directory over the real control plane, and answers
 * that the test writes by hand, chunk by chunk.
 */
import type { WebSocket } from 'ws';
import type { RouterPlane } from '../../http/server.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { LogBook } from '../../router/logs/logBook.ts';
import { Directory } from '../../router/directory.ts';
import type {
  ClientSink,
  DirectoryFeed,
  InferenceRequest,
  SubmitResult,
} from '../../router/ports.ts';

/** What the test does with a request. */
export type Answer = (request: InferenceRequest, sink: ClientSink) => Promise<SubmitResult>;

export interface ScriptedRouter extends RouterPlane {
  readonly directory: Directory;
  /** Set by the test. */
  answer: Answer;
  /** Everything that was submitted, oldest first. */
  readonly submitted: InferenceRequest[];
  /** Agent links that were handed over. */
  readonly links: { socket: WebSocket; address: string }[];
  isReady: boolean;
  stop(): void;
}

export const completed: SubmitResult = { outcome: 'completed', answered: true, refusal: null };

/** A whole answer at once. */
export const answerJson =
  (body: unknown): Answer =>
  (_request, sink) => {
    sink.head(200, { 'content-type': 'application/json', 'x-xim-agent': 'shared' });
    sink.write(Buffer.from(JSON.stringify(body)));
    sink.end();
    return Promise.resolve(completed);
  };

/** A stream of events, each `data:` text in one chunk. */
export const answerStream =
  (events: readonly string[]): Answer =>
  (_request, sink) => {
    sink.head(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    for (const event of events) sink.write(Buffer.from(`data: ${event}\n\n`));
    sink.end();
    return Promise.resolve(completed);
  };

export async function createScriptedRouter(feed: DirectoryFeed): Promise<ScriptedRouter> {
  const directory = new Directory({ feed, clock: systemClock, log: silentLogger });
  await directory.start();
  const router: ScriptedRouter = {
    directory,
    submitted: [],
    links: [],
    isReady: true,
    answer: answerJson({ object: 'chat.completion' }),
    submit(request, sink) {
      router.submitted.push(request);
      return router.answer(request, sink);
    },
    acceptWebSocket: (socket, { address }) => void router.links.push({ socket, address }),
    agent: () => undefined,
    agentHealth: () => undefined,
    onAgentChange: () => () => {},
    linkedAgentIds: () => [],
    logs: new LogBook({ directory, clock: systemClock, random: systemRandom }),
    budgetsOf: () => [],
    receiptView: {
      of: () => Promise.resolve(undefined),
      active: () => ({ requests: [], more: false }),
      async *exported() {},
    },
    endpointStats: () => ({ running: 0, waiting: 0, agentsReady: 0 }),
    stats: () => ({
      running: 0,
      waiting: 0,
      journal: 'ok',
      linkedAgents: 0,
      outcomes: { completed: 3 },
    }),
    metrics: () => 'xim_requests_total{outcome="completed"} 3\n',
    ready: () => router.isReady,
    stop: () => directory.stop(),
  };
  return router;
}
