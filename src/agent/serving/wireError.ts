/**
 * An engine's own error, made into the platform's: one status, one envelope. Engines put a class
 * name into `type` (vLLM), a number into `code` (vLLM, llama.cpp) or a bare string into `error`
 * (Ollama); none of that reaches a client. A code of ours is taken, where the engine (or its
 * adapter) gives one; the message decides nothing.
 */
import { errorEnvelope, errorTable, type ErrorEnvelope, type ErrorName } from '../../api/errors.ts';
import type { EngineError } from '../engines/engine.ts';
import { maxErrorCharacters } from '../limits.ts';

export interface WireError {
  status: number;
  envelope: ErrorEnvelope;
}

/** The refusals of ours that an engine may name by code. */
const nameable = new Set<ErrorName>([
  'context_length_exceeded',
  'invalid_type',
  'invalid_value',
  'missing_required_parameter',
  'unsupported_value',
  'unsupported_parameter',
]);

/** The refusal that a client sees for an engine's 4xx. */
export function wireError(status: number, error: EngineError): WireError {
  const name = errorName(status, error);
  const envelope = errorEnvelope(name, publicMessage(error.message), {
    param: error.param === undefined ? null : error.param.slice(0, 200),
  });
  return { status: errorTable[name].status, envelope };
}

function errorName(status: number, error: EngineError): ErrorName {
  const named = [...nameable].find((name) => name === error.code);
  if (named !== undefined) return named;
  return status === 413 ? 'request_too_large' : 'invalid_value';
}

/** An engine's words without what is nobody's business: paths, addresses, control characters. */
export function publicMessage(message: string): string {
  const clean = message
    .replace(/\p{Cc}+/gu, ' ')
    .replace(/\b[a-z][a-z0-9+.-]*:\/\/\S+/gi, '[address]')
    .replace(/(?<![\w/.])(?:\/[\w.@+-]+){2,}\/?/g, '[path]')
    .trim()
    .slice(0, maxErrorCharacters);
  return clean === '' ? 'The engine refused the request.' : clean;
}
