/**
 * The control routes below `/api/v1`: Hono, schemas at the edge, one handler for every row of the
 * route table that the control plane serves. Translation only: who may do what is decided by the
 * use-cases (`control/principal.ts`), which are asked with the caller found here.
 *
 * Invariants
 * C3 Every row of the table is registered with its access, and nothing else is.
 * W1 A change that a cookie authenticates comes from our own origin (`caller.ts`).
 * W2 No answer is kept by a cache, framed, sniffed or readable by another origin.
 */
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import type { IncomingMessage } from 'node:http';
import type { Contract } from '../../api/contract.ts';
import { contracts } from '../../api/contracts.ts';
import { routes, type HandlerOf, type Route } from '../../api/routes.ts';
import type { Control } from '../../control/control.ts';
import { actorOf, type Caller } from '../../control/principal.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { AddressLimiter } from '../addresses/addressLimiter.ts';
import type { ApiKeyAuth } from '../data/apiKeyAuth.ts';
import type { Handler } from '../exchanges/dispatch.ts';
import type { Exchange } from '../exchanges/exchange.ts';
import type { KnownHosts } from '../addresses/knownHosts.ts';
import type { HttpLimits } from '../limits.ts';
import { readOrRefuse, type ReadingBudget } from '../listening/readBody.ts';
import { storeIsAway } from '../exchanges/storeIsAway.ts';
import { createAgentAnswers } from '../agents/agentAnswer.ts';
import { createAgentHealthRoutes } from '../agents/agentHealthRoutes.ts';
import { createAgentRoutes } from '../agents/agentRoutes.ts';
import { createApiKeyRoutes } from '../projects/apiKeyRoutes.ts';
import { createAuditRoutes } from '../projects/auditRoutes.ts';
import { createBudgetRoutes } from '../usage/budgetRoutes.ts';
import { readCallInput } from './callInput.ts';
import { callerOf, provenanceOf } from './caller.ts';
import { createCall, type ControlCall, type ControlHandler } from './controlCall.ts';
import { refuse, type ControlContext, type ControlEnv } from './controlContext.ts';
import { createEndpointAnswer } from '../catalogue/endpointAnswer.ts';
import { createEndpointRoutes } from '../catalogue/endpointRoutes.ts';
import { serveOnce } from './idempotentCall.ts';
import { createJoinKeyRoutes, type BuildJoinCommand } from '../agents/joinKeyRoutes.ts';
import { createLiveRoute } from '../live/live.ts';
import { LiveStreams } from '../live/liveStreams.ts';
import { createLogRoutes } from '../agents/logRoutes.ts';
import type { ReadTurns } from './readTurns.ts';
import type { LiveView } from '../live/liveView.ts';
import { createModelRoutes } from '../catalogue/modelRoutes.ts';
import { createMemberRoutes } from '../people/memberRoutes.ts';
import {
  createProjectAnswers,
  createProjectRoutes,
  type Notices,
} from '../projects/projectRoutes.ts';
import { createProjectsRoutes } from '../projects/projectsRoutes.ts';
import { createSessionRoutes } from '../people/sessionRoutes.ts';
import { createTierRoutes } from '../catalogue/tierRoutes.ts';
import { createReceiptRoutes } from '../usage/receiptRoutes.ts';
import { createUsageRoutes } from '../usage/usageRoutes.ts';
import { createUserRoutes } from '../people/userRoutes.ts';
import type { TopicHandlers } from './topicHandlers.ts';

export interface ControlAppOptions {
  control: Control;
  router: LiveView;
  auth: ApiKeyAuth;
  limits: HttpLimits;
  budget: ReadingBudget;
  clock: Clock;
  log: Logger;
  version: string;
  notices: Notices;
  buildJoinCommand: BuildJoinCommand;
  knownHosts: () => KnownHosts;
  /** Sign-ins of one address, good or bad. */
  signInLimiter: AddressLimiter;
  /** Changes of one account or key. */
  changeLimiter: AddressLimiter;
  /** Reads of one account or key. */
  readTurns: ReadTurns;
  /** Whether browsers reach the server by TLS. */
  secure: () => boolean;
  /** Aborts when the server drains: ends the live streams. */
  stopped: AbortSignal;
}

type ControlHandlers = TopicHandlers<typeof contracts>;

/** One handler of `dispatch` for every row: they all lead into the application. */
export function createControlPlane(
  options: ControlAppOptions,
): Readonly<Record<HandlerOf<'control'>, Handler>> {
  const handlers = controlHandlers(options);
  const app = controlApp(options, handlers);
  const calls = new WeakMap<IncomingMessage, ControlEnv['Bindings']>();
  const listener = getRequestListener(
    (request, { incoming }) => {
      const call = calls.get(incoming as IncomingMessage);
      if (call === undefined) throw new Error('a control request without its exchange');
      return app.fetch(request, call);
    },
    { overrideGlobalObjects: false },
  );
  const serve: Handler = async (exchange) => {
    const { request, response } = exchange;
    const maxBytes = options.limits.controlBodyBytes;
    const { budget } = options;
    const body = await readOrRefuse(exchange, { maxBytes, budget, caller: exchange.address });
    if (body === undefined) return;
    calls.set(request, { exchange, body });
    // The adapter makes a URL of Host and target. Host may be anything and means nothing here; the
    // target is spelled anew, so that both sides read the same parts in it.
    request.headers.host = 'localhost';
    request.url = canonicalTarget(exchange);
    await listener(request, response);
  };
  const names = Object.keys(handlers) as HandlerOf<'control'>[];
  return Object.fromEntries(names.map((name) => [name, serve])) as Record<
    HandlerOf<'control'>,
    Handler
  >;
}

function canonicalTarget({ pattern, params, path, request }: Exchange): string {
  const query = (request.url ?? '').slice(path.length);
  return `${pattern.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(params[name] ?? ''),
  )}${query}`;
}

/** W2; the answers of the API are data, never a page. */
const answerHeaders: readonly (readonly [string, string])[] = [
  ['cache-control', 'no-store'],
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['cross-origin-resource-policy', 'same-origin'],
  ['referrer-policy', 'no-referrer'],
  ['x-content-type-options', 'nosniff'],
];

function controlApp(options: ControlAppOptions, handlers: ControlHandlers): Hono<ControlEnv> {
  const app = new Hono<ControlEnv>();
  const { log } = options;
  app.use(async (context, next) => {
    await next();
    const { headers } = context.res;
    for (const [name, value] of answerHeaders) {
      // The live stream says more about caching than the others.
      if (!headers.has(name)) headers.set(name, value);
    }
    const base = context.env.exchange.baseHeaders();
    for (let at = 0; at < base.length; at += 2) headers.set(base[at] ?? '', base[at + 1] ?? '');
  });
  app.onError((error, context) => {
    const { requestId, response } = context.env.exchange;
    if (response.destroyed) return refuse(context, 'malformed_request', 'The client went away.');
    if (storeIsAway(error)) {
      log.warn({ err: error, requestId }, 'the store is away');
      const message = 'The database does not answer. Try again in a moment.';
      return refuse(context, 'store_unavailable', message, { retryAfterMs: 2000 });
    }
    log.error({ err: error, requestId }, 'a control handler failed');
    return refuse(context, 'internal', `The server failed. Request ${requestId}.`);
  });
  for (const route of routes)
    if (route.plane === 'control') register(app, route, options, handlers);
  return app;
}

/** C3: a row, its guards and its handler. */
function register(
  app: Hono<ControlEnv>,
  route: Route,
  options: ControlAppOptions,
  handlers: ControlHandlers,
): void {
  const { control, auth, log } = options;
  const name = route.handler as HandlerOf<'control'>;
  const contract: Contract = contracts[name];
  // Its types were checked where the handlers were put together.
  const handler = handlers[name] as ControlHandler;
  const pattern = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
  app.on(route.method, pattern, async (context) => {
    const known = await callerOf(context, { control, auth }, route.access);
    if (!known.ok) return refuse(context, known.name, known.message);
    const byCookie = known.caller.principal.kind !== 'api_key';
    if (route.method !== 'GET' && byCookie) {
      const foreign = foreignOrigin(context, options.knownHosts());
      if (foreign !== undefined) return foreign;
    }
    const { caller, sessionToken } = known;
    if (route.method !== 'GET' && caller.principal.kind !== 'anonymous') {
      const admitted = options.changeLimiter.take(actorOf(caller.principal));
      if (!admitted.ok) return refuse(context, 'rate_limited_requests', tooMany, admitted);
    }
    const read = readCallInput(contract, inputOf(context));
    if (!read.ok) return refuse(context, read.name, read.message, { param: read.param });
    const call = createCall({ context, contract, caller, sessionToken, input: read.input });
    if (contract.creates === true) return serveOnce(call, { handler, control, log });
    if (route.method !== 'GET' || caller.principal.kind === 'anonymous') return handler(call);
    return readInTurn(call, { handler, turns: options.readTurns });
  });
}

/** A long file holds its turn until the client has it; a stream that follows has other bounds. */
async function readInTurn(
  call: ControlCall,
  { handler, turns }: { handler: ControlHandler; turns: ReadTurns },
): Promise<Response> {
  const { context } = call;
  const turn = await turns.enter(actorOf(call.caller.principal));
  if (!turn.ok) return refuse(context, 'rate_limited_requests', tooMuchReading, turn);
  const { response } = context.env.exchange;
  let isFile = false;
  try {
    const answer = await handler(call);
    isFile = answer.headers.get('content-type')?.startsWith('text/csv') === true;
    return answer;
  } finally {
    turn.answered();
    if (isFile && !response.destroyed) response.once('close', () => turn.leave());
    else turn.leave();
  }
}

const tooMuchReading =
  'This account or key reads too much at once, or for too long. Go on a little later.';
const tooMany = 'Too many changes at once by this account or key. Go on a little later.';

function inputOf(context: ControlContext): Parameters<typeof readCallInput>[1] {
  const { exchange, body } = context.env;
  const { method = '', url = '' } = exchange.request;
  const start = url.indexOf('?');
  return {
    method,
    body,
    search: start === -1 ? '' : url.slice(start + 1),
    ifMatch: context.req.header('if-match'),
  };
}

/** W1: the refusal of a change that another site may have sent. */
function foreignOrigin(context: ControlContext, hosts: KnownHosts): Response | undefined {
  switch (provenanceOf(context, hosts)) {
    case 'ours':
      return undefined;
    case 'not_json':
      return refuse(
        context,
        'unsupported_value',
        'Send this with content-type: application/json.',
        { param: 'content-type' },
      );
    case 'foreign': {
      const message =
        'This change does not come from a page of this server. Programs send a key of scope ' +
        'management; behind a proxy, start the server with its public URL.';
      return refuse(context, 'cross_site', message);
    }
  }
}

function controlHandlers(options: ControlAppOptions): ControlHandlers {
  const { control, router, auth, clock } = options;
  const modelName = (id: string): string | undefined => router.directory.model(id)?.name;
  const answers = createAgentAnswers({ router, modelName });
  const publicBase = (): string => options.knownHosts().publicBase();
  const projectAnswers = createProjectAnswers({ ...options, publicBase });
  const endpointAnswer = createEndpointAnswer({ router, publicBase });
  const streams = new LiveStreams(options);
  const callerNow = async (context: ControlContext): Promise<Caller | undefined> => {
    const access = { by: 'session_or_key', role: 'member' } as const;
    const known = await callerOf(context, { control, auth }, access);
    return known.ok ? known.caller : undefined;
  };
  const watching = { ...options, streams, callerNow };
  const live = createLiveRoute({
    ...watching,
    agents: answers,
    projects: projectAnswers,
    endpointAnswer,
  });
  return {
    ...createSessionRoutes({ ...options, publicBase }),
    ...createUserRoutes(control),
    ...createProjectsRoutes(control),
    ...createMemberRoutes({ control, publicBase }),
    ...createApiKeyRoutes(control),
    ...createProjectRoutes({ answers: projectAnswers }),
    ...createUsageRoutes({ control, clock }),
    ...createReceiptRoutes({ control, router, clock }),
    ...createBudgetRoutes({ control, clock }),
    ...createEndpointRoutes({ control, router, answer: endpointAnswer }),
    ...createModelRoutes({ control }),
    ...createTierRoutes({ control }),
    live,
    ...createAgentRoutes({ control, router, answers, clock }),
    ...createAgentHealthRoutes({ control, router, answers, modelName }),
    ...createLogRoutes(watching),
    ...createJoinKeyRoutes(options),
    ...createAuditRoutes({ control }),
  };
}
