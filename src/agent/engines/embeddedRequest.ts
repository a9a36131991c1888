/**
 * The body of a request as the embedded engine reads it. Every parameter that it cannot keep is
 * refused by name; nothing is dropped in silence that would change the answer.
 */
import type { FieldErrorKind } from '../../api/fields.ts';
import {
  asList,
  asObject,
  FieldError,
  readBoolean,
  readInteger,
  readNumber,
  readString,
} from '../../api/fields.ts';
import { embeddedSampling, maxStopStrings } from '../limits.ts';
import { jsonObjectGrammar, jsonSchemaGrammar } from './embeddedGrammar.ts';
import type { EngineError, EngineRequest, JsonObject } from './engine.ts';

export interface PromptMessage {
  role: string;
  content: string;
  name?: string;
}

export type PromptSource =
  | { kind: 'chat'; messages: readonly PromptMessage[]; continueFinal: boolean }
  | { kind: 'text'; text: string }
  | { kind: 'tokens'; tokens: readonly number[] };

export interface Sampling {
  temperature: number;
  topP: number;
  topK: number;
  minP: number;
  frequencyPenalty: number;
  presencePenalty: number;
  /** Undefined: another one each time. */
  seed: number | undefined;
}

export interface GenerationRequest {
  prompt: PromptSource;
  sampling: Sampling;
  /** Undefined: up to the end of the context. */
  maxTokens: number | undefined;
  stops: readonly string[];
  /** GBNF that the answer must follow. */
  grammar: string | undefined;
}

export type ReadRequest =
  | { kind: 'request'; request: GenerationRequest }
  | { kind: 'refused'; status: 400; error: EngineError };

type RefusalCode = FieldErrorKind | 'unsupported_parameter' | 'context_length_exceeded';

/** A refusal that the client is told. */
export function refusedBody(
  code: RefusalCode,
  param: string | null,
  message: string,
): { kind: 'refused'; status: 400; error: EngineError } {
  const error = { message, type: 'invalid_request_error', code };
  return { kind: 'refused', status: 400, error: param === null ? error : { ...error, param } };
}

/** Thrown inside this reader only. */
class Unsupported extends Error {
  readonly param: string;

  constructor(param: string, message: string) {
    super(message);
    this.param = param;
  }
}

/** Reads a body for `/v1/chat/completions` or `/v1/completions`. Never throws. */
export function readGeneration(request: Pick<EngineRequest, 'path' | 'body'>): ReadRequest {
  const chat = request.path === '/v1/chat/completions';
  try {
    return { kind: 'request', request: chat ? readChat(request.body) : readText(request.body) };
  } catch (error) {
    if (error instanceof FieldError) return refusedBody(error.kind, error.param, error.message);
    if (error instanceof Unsupported) {
      return refusedBody('unsupported_parameter', error.param, error.message);
    }
    throw error;
  }
}

function readChat(body: JsonObject): GenerationRequest {
  refuseParameter(body, 'logprobs', (value) => value === true);
  refuseParameter(body, 'top_logprobs', (value) => value !== null && value !== 0);
  refuseParameter(body, 'tools', (value) => Array.isArray(value) && value.length > 0);
  refuseParameter(body, 'functions', (value) => Array.isArray(value) && value.length > 0);
  refuseParameter(body, 'audio', (value) => value !== null);
  refuseParameter(body, 'modalities', (value) => Array.isArray(value) && value.includes('audio'));
  const messages = asList(body['messages'], 'messages').map((message, at) =>
    readMessage(asObject(message, `messages[${at}]`), `messages[${at}]`),
  );
  const continueFinal = readBoolean(body, 'continue_final_message') ?? false;
  if (continueFinal && messages.at(-1)?.role !== 'assistant') {
    const message = "'continue_final_message' needs an assistant's message at the end.";
    throw new FieldError('invalid_value', { param: 'continue_final_message', message });
  }
  const longest = readInteger(body, 'max_completion_tokens', { min: 1 });
  return {
    ...readCommon(body),
    prompt: { kind: 'chat', messages, continueFinal },
    maxTokens: longest ?? readInteger(body, 'max_tokens', { min: 1 }),
    grammar: readFormat(body['response_format']),
  };
}

/** Legacy completions default to 16 tokens, as OpenAI documents them. */
const textDefaultTokens = 16;

function readText(body: JsonObject): GenerationRequest {
  refuseParameter(body, 'logprobs', (value) => value !== null);
  refuseParameter(body, 'echo', (value) => value === true);
  refuseParameter(body, 'suffix', (value) => value !== null && value !== '');
  refuseParameter(body, 'best_of', (value) => value !== null && value !== 1);
  return {
    ...readCommon(body),
    prompt: readPrompt(body['prompt']),
    maxTokens: readInteger(body, 'max_tokens', { min: 1 }) ?? textDefaultTokens,
    grammar: undefined,
  };
}

function readCommon(body: JsonObject): Pick<GenerationRequest, 'sampling' | 'stops'> {
  refuseParameter(body, 'n', (value) => value !== null && value !== 1);
  refuseParameter(body, 'logit_bias', (value) => Object.keys(Object(value)).length > 0);
  const seed = readInteger(body, 'seed', {});
  const { temperature, topP, topK, minP } = embeddedSampling;
  return {
    sampling: {
      temperature: readNumber(body, 'temperature', { min: 0, max: 2 }) ?? temperature,
      topP: readNumber(body, 'top_p', { min: 0, max: 1 }) ?? topP,
      // Others write −1 for "all of them".
      topK: Math.max(0, readInteger(body, 'top_k', { min: -1 }) ?? topK),
      minP: readNumber(body, 'min_p', { min: 0, max: 1 }) ?? minP,
      frequencyPenalty: readNumber(body, 'frequency_penalty', { min: -2, max: 2 }) ?? 0,
      presencePenalty: readNumber(body, 'presence_penalty', { min: -2, max: 2 }) ?? 0,
      seed: seed === undefined ? undefined : ((seed % 2 ** 32) + 2 ** 32) % 2 ** 32,
    },
    stops: readStops(body['stop']),
  };
}

function readMessage(message: JsonObject, at: string): PromptMessage {
  const role = readString(message, 'role', { required: true }) ?? '';
  const calls = message['tool_calls'];
  if (role === 'tool' || role === 'function' || (Array.isArray(calls) && calls.length > 0)) {
    throw new Unsupported('messages', `The model on this agent has no tools (${at}).`);
  }
  const name = readString(message, 'name');
  return {
    role: role === 'developer' ? 'system' : role,
    content: readContent(message['content'], `${at}.content`),
    ...(name !== undefined && { name }),
  };
}

function readContent(content: unknown, at: string): string {
  if (content === null || content === undefined) return '';
  if (typeof content === 'string') return content;
  const parts = asList(content, at).map((value, index) => {
    const part = asObject(value, `${at}[${index}]`);
    const kind = part['type'];
    if (kind === 'text') return readString(part, 'text', { required: true }) ?? '';
    if (kind === 'refusal') return readString(part, 'refusal', { required: true }) ?? '';
    throw new Unsupported('messages', `The model on this agent reads text only (${at}[${index}]).`);
  });
  return parts.join('\n');
}

function readPrompt(prompt: unknown): PromptSource {
  if (typeof prompt === 'string') return { kind: 'text', text: prompt };
  const list = asList(prompt, 'prompt');
  if (list.length > 0 && list.every((one) => Number.isInteger(one) && (one as number) >= 0)) {
    return { kind: 'tokens', tokens: list as number[] };
  }
  if (list.length !== 1) {
    throw new Unsupported('prompt', 'Several prompts in one request are not supported.');
  }
  return readPrompt(list[0]);
}

function readStops(stop: unknown): readonly string[] {
  if (stop === undefined || stop === null) return [];
  if (typeof stop === 'string') return [stop];
  const list = asList(stop, 'stop');
  if (list.length > maxStopStrings) {
    const message = `'stop' has ${list.length} elements; at most ${maxStopStrings} are allowed.`;
    throw new FieldError('invalid_value', { param: 'stop', message });
  }
  return list.map((one, at) => {
    if (typeof one === 'string') return one;
    throw FieldError.type(one, { param: `stop[${at}]`, want: 'a string' });
  });
}

function readFormat(format: unknown): string | undefined {
  if (format === undefined || format === null) return undefined;
  const { type, json_schema: wrapped } = asObject(format, 'response_format');
  if (type === 'text') return undefined;
  if (type === 'json_object') return jsonObjectGrammar();
  if (type === 'json_schema') {
    const { schema } = asObject(wrapped, 'response_format.json_schema');
    return jsonSchemaGrammar(schema ?? {}, 'response_format.json_schema.schema');
  }
  const message = "'response_format.type' must be one of text, json_object, json_schema.";
  throw new FieldError('unsupported_value', { param: 'response_format.type', message });
}

function refuseParameter(
  body: JsonObject,
  param: string,
  isAsked: (value: unknown) => boolean,
): void {
  const value = body[param];
  if (value === undefined || !isAsked(value)) return;
  throw new Unsupported(param, `'${param}' is not supported by the model's engine (embedded).`);
}
