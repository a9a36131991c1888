/**
 * Errors in the shapes that engines send them, and what they mean for a request: the client's
 * fault (`refused`), or this machine's (`failed`), which another agent may do better.
 */
import { arrayOf, isAbsent, objectOf, stringOf } from '../serving/jsonValue.ts';
import type { EngineEnd, EngineError, JsonObject } from './engine.ts';

/** Types that say it of the request, for an error that comes without any status. */
const requestTypes = new Set(['invalid_request_error', 'exceed_context_size_error']);

/** Statuses in the 4xx range that say something of this agent's set-up, not of the request. */
const ownFault = new Set([401, 402, 403, 404, 405, 407, 408, 409, 425, 429]);

/** Reads OpenAI's envelope, vLLM's flat object, FastAPI's `detail`, Ollama's and TGI's strings. */
export function readEngineError(body: JsonObject | undefined): EngineError {
  if (body === undefined) return { message: '' };
  const nested = objectOf(body['error']);
  if (nested !== undefined) return errorFrom(nested);
  const bare = stringOf(body['error']);
  if (bare !== undefined) {
    const type = stringOf(body['error_type']);
    return { message: bare, ...(type === undefined ? {} : { type }) };
  }
  return isAbsent(body['detail']) ? errorFrom(body) : errorFromDetail(body['detail']);
}

/** Whether a chunk or an answer is an error after all, whatever its status said. */
export function isErrorEvent(event: JsonObject): boolean {
  return !isAbsent(event['error']) || event['object'] === 'error';
}

/**
 * How the request ends. `status` is the HTTP status; undefined for an error inside a stream that
 * began with 200, where the error's own code has to tell.
 */
export function endOfError(error: EngineError, status: number | undefined): EngineEnd {
  const judged = status ?? ownStatus(error);
  if (judged >= 400 && judged < 500 && !ownFault.has(judged)) {
    return { kind: 'refused', status: judged, error };
  }
  const detail = `engine error ${judged}: ${error.message}`.slice(0, 300);
  return { kind: 'failed', reason: 'engine_failed', detail };
}

function ownStatus({ code, type }: EngineError): number {
  if (typeof code === 'number') return code;
  return requestTypes.has(type ?? '') ? 400 : 500;
}

function errorFrom(object: JsonObject): EngineError {
  const { code, param } = object;
  const type = stringOf(object['type']);
  return {
    message: stringOf(object['message']) ?? '',
    ...(type === undefined ? {} : { type }),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(typeof param === 'string' ? { param } : {}),
  };
}

/** FastAPI: a string, or one entry per invalid field with its place in `loc`. */
function errorFromDetail(detail: unknown): EngineError {
  const text = stringOf(detail);
  if (text !== undefined) return { message: text };
  const entries = arrayOf(detail)
    .map((entry) => objectOf(entry))
    .filter((entry) => entry !== undefined);
  const message = entries.map((entry) => stringOf(entry['msg']) ?? '').join('; ');
  const place = arrayOf(entries[0]?.['loc']).filter((part) => part !== 'body');
  const param = place.map(String).join('.');
  return { message, ...(param === '' ? {} : { param }) };
}
