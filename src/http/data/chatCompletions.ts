/**
 * `POST …/v1/chat/completions`: reads, checks and hands over to the router. What the router answers
 * goes through the sink untouched; what it refuses becomes the envelope here.
 */
import { isUtf8 } from 'node:buffer';
import { readChatRequest, type ChatRequest } from '../../api/chatRequest.ts';
import type {
  ApiKeyEntry,
  EndpointEntry,
  ModelEntry,
  ProjectEntry,
} from '../../domain/directory.ts';
import { parseAbridged } from '../../lib/json/abridgedJson.ts';
import { maxBodyNesting, nestsDeeperThan } from '../../lib/json/jsonNesting.ts';
import type { Logger } from '../../lib/log.ts';
import type { Tracing } from '../../lib/tracing/span.ts';
import type { TraceContext } from '../../lib/tracing/traceContext.ts';
import type { InferenceRequest, SubmitResult } from '../../router/ports.ts';
import type { Router } from '../../router/router.ts';
import type { Exchange } from '../exchanges/exchange.ts';
import { readOrRefuse, type ReadingBudget } from '../listening/readBody.ts';
import { ResponseSink } from '../listening/responseSink.ts';
import { ProgressSink } from './progressSink.ts';
import { longestClientRequestId, type HttpLimits } from '../limits.ts';
import type { ApiKeyAuth } from './apiKeyAuth.ts';
import { refusedSpan } from './refusedSpan.ts';
import { readRequestHeaders, type RequestHeaders } from './requestHeaders.ts';
import {
  endpointTarget,
  modelTarget,
  projectTarget,
  type Refused,
  type TargetDirectory,
} from './target.ts';

export type ChatPlane = Pick<Router, 'directory' | 'submit'>;

interface Options {
  router: ChatPlane;
  auth: ApiKeyAuth;
  limits: HttpLimits;
  budget: ReadingBudget;
  log: Logger;
  tracing: Tracing;
}

/** What is known once the head was read: everything but what the body says. */
interface Caller extends RequestHeaders {
  key: ApiKeyEntry;
  keySha256: string;
  project: ProjectEntry;
  /** Undefined on the root address, where the body's `model` names it. */
  endpoint: EndpointEntry | undefined;
}

type Checked<Value> = ({ ok: true } & Value) | Refused;

/** A request that the router has; the body is the router's alone to keep or to drop. */
interface Submitted {
  kind: 'submitted';
  result: Promise<SubmitResult>;
  sink: ResponseSink;
  /** Where the client wants to see its place in line. */
  progress: ProgressSink | undefined;
  project: ProjectEntry;
  endpoint: EndpointEntry;
}

export function createChatHandler(options: Options): (exchange: Exchange) => Promise<void> {
  return async (exchange) => {
    const trace = options.tracing.begin(exchange.request.headers['traceparent']);
    const submitted = await begin(exchange, { ...options, trace });
    if (submitted.kind === 'over') {
      if (trace?.recorded === true) options.tracing.record([refusedSpan(exchange, trace)]);
      return;
    }
    const result = await submitted.result;
    if (!result.answered) answerRefusal(exchange, { ...submitted, result });
    logEnd({ exchange, result, submitted, log: options.log });
  };
}

/** Checks head and body, and hands the request over; answers and says `over` where it does not. */
async function begin(
  exchange: Exchange,
  options: Options & { trace: TraceContext | null },
): Promise<Submitted | { kind: 'over' }> {
  const caller = readHead(exchange, { auth: options.auth, directory: options.router.directory });
  if (caller.ok) return submit(exchange, { ...options, caller });
  refuse(exchange, caller);
  return { kind: 'over' };
}

/** Reads and checks the body; answers and says `over` when it goes no further. */
async function submit(
  exchange: Exchange,
  options: Options & { caller: Caller; trace: TraceContext | null },
): Promise<Submitted | { kind: 'over' }> {
  const { router, limits, budget, caller, trace } = options;
  const over = { kind: 'over' } as const;
  const { id: projectId } = caller.project;
  const bounds = { maxBytes: limits.bodyBytes, budget, caller: projectId };
  const body = await readOrRefuse(exchange, bounds);
  if (body === undefined) return over;
  const checked = readRequest(exchange, { body, caller, directory: router.directory });
  if (!checked.ok) {
    refuse(exchange, checked);
    return over;
  }
  const { project, endpoint, stream } = checked.request;
  const sink = new ResponseSink({ exchange, heldAnswerBytes: limits.heldAnswerBytes });
  const progress = caller.progress && stream ? new ProgressSink(sink) : undefined;
  const result = router.submit({ ...checked.request, trace }, progress ?? sink);
  return { kind: 'submitted', result, sink, progress, project, endpoint };
}

function answerRefusal(
  exchange: Exchange,
  input: Pick<Submitted, 'sink' | 'progress'> & { result: SubmitResult },
): void {
  if (input.progress?.refuse(input.result.refusal) === true) return;
  input.sink.abandon();
  const { refusal, agentHeaders, rateHeaders = {} } = input.result;
  if (refusal === null) return;
  if (agentHeaders !== undefined) exchange.agentHeaders = Object.entries(agentHeaders).flat();
  const { name, message, retryAfterMs, shouldRetry, param, extra } = refusal;
  exchange.refuse(name, message, {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(shouldRetry === undefined ? {} : { shouldRetry }),
    ...(param === undefined ? {} : { param }),
    ...(extra === undefined ? {} : { extra }),
    headers: Object.entries(rateHeaders).flat(),
  });
}

/** Everything that the head decides, before a byte of the body is read. */
function readHead(
  exchange: Exchange,
  planes: { auth: ApiKeyAuth; directory: TargetDirectory },
): Checked<Caller> {
  const { headers } = exchange.request;
  const { authorization } = headers;
  const { address, params } = exchange;
  const known = planes.auth.authenticate({ authorization, address, scope: 'inference' });
  if (!known.ok) return known;
  const { key, sha256: keySha256 } = known;
  const found = projectTarget(planes.directory, { params, key });
  if (!found.ok) return found;
  const { project } = found;
  const asked = readRequestHeaders(headers);
  if (!asked.ok) return asked;
  const { region, resume, progress } = asked;
  const caller = { key, keySha256, project, region, resume, progress };
  const name = params['endpoint'];
  if (name === undefined) return { ok: true, ...caller, endpoint: undefined };
  const one = endpointTarget(planes.directory, { project, key, name });
  return one.ok ? { ok: true, ...caller, endpoint: one.endpoint } : one;
}

/**
 * The request as the router takes it. The body is read once, here, and passed on as it came; what
 * is refused is read again as a whole, so that the refusal is exact about long strings too.
 */
function readRequest(
  exchange: Exchange,
  input: { body: Buffer; caller: Caller; directory: TargetDirectory },
): Checked<{ request: InferenceRequest }> {
  const { body, caller, directory } = input;
  const parsed = parseJson(body);
  if (!parsed.ok) return { ok: false, name: 'not_json', message: parsed.message };
  const requireModel = caller.endpoint === undefined;
  const read = readChatRequest(parsed.value, { requireModel });
  if (!read.ok) {
    const whole = readChatRequest(JSON.parse(body.toString('utf8')), { requireModel });
    const { name, message, param } = whole.ok ? read : whole;
    return { ok: false, name, message, ...(param === null ? {} : { param }) };
  }
  const chosen = chosenEndpoint(directory, { caller, chat: read.request });
  if (!chosen.ok) return chosen;
  const { endpoint, model } = chosen;
  const { stream, includeUsage, abilities, maxTokens } = read.request;
  const { project, key, keySha256, region, resume } = caller;
  const { requestId, arrivedAtMs } = exchange;
  return {
    ok: true,
    request: {
      requestId,
      project,
      endpoint,
      model,
      apiKey: key,
      apiKeySha256: keySha256,
      path: '/v1/chat/completions',
      body,
      stream,
      includeUsage,
      abilities,
      maxTokens,
      resume: resume ?? endpoint.resume,
      region,
      arrivedAtMs,
    },
  };
}

function chosenEndpoint(
  directory: TargetDirectory,
  input: { caller: Caller; chat: ChatRequest },
): Checked<{ endpoint: EndpointEntry; model: ModelEntry }> {
  const { project, key } = input.caller;
  const name = input.chat.model ?? '';
  const named =
    input.caller.endpoint === undefined
      ? endpointTarget(directory, { project, key, name, param: 'model' })
      : { ok: true as const, endpoint: input.caller.endpoint };
  if (!named.ok) return named;
  const model = modelTarget(directory, named.endpoint);
  return model.ok ? { ok: true, endpoint: named.endpoint, model: model.model } : model;
}

function parseJson(body: Buffer): { ok: true; value: unknown } | { ok: false; message: string } {
  if (body.length === 0) {
    return { ok: false, message: 'The request has no body; a JSON object is needed.' };
  }
  if (!isUtf8(body)) return { ok: false, message: 'The request body is not UTF-8.' };
  if (nestsDeeperThan(body, maxBodyNesting)) {
    return { ok: false, message: `The request body nests deeper than ${maxBodyNesting} levels.` };
  }
  const read = parseAbridged(body);
  if (read.kind === 'json') return { ok: true, value: read.value };
  return { ok: false, message: 'The request body is not JSON.' };
}

function refuse(exchange: Exchange, refused: Refused): void {
  exchange.refuse(refused.name, refused.message, { param: refused.param ?? null });
}

function logEnd(input: {
  exchange: Exchange;
  result: SubmitResult;
  submitted: Submitted;
  log: Logger;
}): void {
  const { exchange, result, submitted, log } = input;
  const clientRequestId = exchange.request.headers['x-client-request-id'];
  const fields = {
    requestId: exchange.requestId,
    projectId: submitted.project.id,
    endpoint: submitted.endpoint.slug,
    outcome: result.outcome,
    status: result.outcome === 'client_closed' ? 499 : exchange.response.statusCode,
    ...(isClientRequestId(clientRequestId) ? { clientRequestId } : {}),
  };
  log.info(fields, 'request ended');
}

/** What a client may have us write beside our id: printable ASCII, 512 characters at most. */
function isClientRequestId(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length <= longestClientRequestId &&
    /^[\x20-\x7e]+$/.test(value)
  );
}
