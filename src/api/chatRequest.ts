/**
 * The fields of a chat completion that the platform reads: enough to route it and to refuse what no
 * engine could take, in OpenAI's words. The body itself is passed on as it came; fields that are
 * not named here are the engine's business.
 */
import type { Ability } from './abilities.ts';
import type { ErrorName } from './errors.ts';
import {
  asList,
  asObject,
  FieldError,
  readBoolean,
  readInteger,
  readNumber,
  readString,
  typeName,
} from './fields.ts';

/** What routing needs to know of a chat request. */
export interface ChatRequest {
  /** As the client named it; undefined when it named none. */
  model: string | undefined;
  stream: boolean;
  /** `stream_options.include_usage` */
  includeUsage: boolean;
  abilities: readonly Ability[];
  /** Tokens that the answer may have, all choices together; null: the engine's bound. */
  maxTokens: number | null;
}

export type ChatRequestResult =
  | { ok: true; request: ChatRequest }
  | { ok: false; name: ErrorName; message: string; param: string | null };

type Fields = Record<string, unknown>;

const roles = ['system', 'developer', 'user', 'assistant', 'tool', 'function'];
/** Messages of one conversation; the body's size binds long before in practice. */
const maxMessages = 10_000;
const maxChoices = 128;
const maxTopLogprobs = 20;
const maxStops = 16;
const longestModelName = 256;

/** Reads a parsed body. `requireModel`: on the root address the model names the endpoint. */
export function readChatRequest(
  body: unknown,
  options: { requireModel: boolean },
): ChatRequestResult {
  try {
    return { ok: true, request: chatRequest(body, options.requireModel) };
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    return { ok: false, name: error.kind, message: error.message, param: error.param };
  }
}

function chatRequest(body: unknown, requireModel: boolean): ChatRequest {
  if (body === null || typeof body !== 'object' || Array.isArray(body)) {
    throw new FieldError('invalid_type', {
      param: null,
      message: `The body must be a JSON object, but is ${typeName(body)}.`,
    });
  }
  const fields = body as Fields;
  const model = readString(fields, 'model', { required: requireModel, max: longestModelName });
  const asked = new Set<Ability>(['chat']);
  readMessages(fields, asked);
  const streaming = readStreaming(fields);
  const maxTokens = readNumbers(fields, asked);
  readShape(fields, asked);
  return { model, ...streaming, abilities: [...asked], maxTokens };
}

function readStreaming(fields: Fields): { stream: boolean; includeUsage: boolean } {
  const stream = readBoolean(fields, 'stream') ?? false;
  const given = fields['stream_options'];
  if (given === undefined || given === null) return { stream, includeUsage: false };
  const options = asObject(given, 'stream_options');
  if (!stream) {
    throw new FieldError('invalid_value', {
      param: 'stream_options',
      message: "'stream_options' is only allowed when 'stream' is true.",
    });
  }
  const prefixed = { 'stream_options.include_usage': options['include_usage'] };
  const includeUsage = readBoolean(prefixed, 'stream_options.include_usage') ?? false;
  return { stream, includeUsage };
}

function readMessages(fields: Fields, asked: Set<Ability>): void {
  if (fields['messages'] === undefined) {
    throw new FieldError('missing_required_parameter', {
      param: 'messages',
      message: "Missing required parameter: 'messages'.",
    });
  }
  const messages = asList(fields['messages'], 'messages');
  if (messages.length === 0 || messages.length > maxMessages) {
    throw new FieldError('invalid_value', {
      param: 'messages',
      message: `'messages' has ${messages.length} elements; 1 to ${maxMessages} are allowed.`,
    });
  }
  for (const [at, message] of messages.entries()) readMessage(message, `messages[${at}]`, asked);
}

function readMessage(value: unknown, at: string, asked: Set<Ability>): void {
  const message = asObject(value, at);
  const role = message['role'];
  if (role === undefined) {
    throw new FieldError('missing_required_parameter', {
      param: `${at}.role`,
      message: `Missing required parameter: '${at}.role'.`,
    });
  }
  if (typeof role !== 'string')
    throw FieldError.type(role, { param: `${at}.role`, want: 'a string' });
  if (!roles.includes(role)) {
    throw new FieldError('invalid_value', {
      param: `${at}.role`,
      message: `'${at}.role' must be one of ${roles.join(', ')}.`,
    });
  }
  if (role === 'tool' || message['tool_calls'] !== undefined) asked.add('tools');
  readContent(message['content'], { at: `${at}.content`, role, asked });
}

function readContent(
  content: unknown,
  where: { at: string; role: string; asked: Set<Ability> },
): void {
  const { at, role, asked } = where;
  if (typeof content === 'string') return;
  // An assistant's turn may be tool calls alone.
  if ((content === undefined || content === null) && role === 'assistant') return;
  if (content === undefined) {
    throw new FieldError('missing_required_parameter', {
      param: at,
      message: `Missing required parameter: '${at}'.`,
    });
  }
  if (!Array.isArray(content)) {
    throw FieldError.type(content, { param: at, want: 'a string or an array of parts' });
  }
  for (const [index, part] of content.entries()) readPart(part, `${at}[${index}]`, asked);
}

function readPart(value: unknown, at: string, asked: Set<Ability>): void {
  const part = asObject(value, at);
  switch (part['type']) {
    case 'text':
      readString({ [`${at}.text`]: part['text'] }, `${at}.text`, { required: true });
      return;
    case 'refusal':
      return;
    case 'image_url':
      asked.add('image');
      return;
    case 'input_audio':
      asked.add('audio');
      return;
    default:
      throw new FieldError(
        part['type'] === undefined ? 'missing_required_parameter' : 'invalid_value',
        {
          param: `${at}.type`,
          message: `'${at}.type' must be one of text, image_url, input_audio, refusal.`,
        },
      );
  }
}

/** Returns how many tokens the answer may have. */
function readNumbers(fields: Fields, asked: Set<Ability>): number | null {
  const older = readInteger(fields, 'max_tokens', { min: 1 });
  const most = readInteger(fields, 'max_completion_tokens', { min: 1 }) ?? older;
  const choices = readInteger(fields, 'n', { min: 1, max: maxChoices }) ?? 1;
  if (choices > 1) asked.add('choices');
  readNumber(fields, 'temperature', { min: 0, max: 2 });
  readNumber(fields, 'top_p', { min: 0, max: 1 });
  readNumber(fields, 'presence_penalty', { min: -2, max: 2 });
  readNumber(fields, 'frequency_penalty', { min: -2, max: 2 });
  readInteger(fields, 'seed', {});
  const logprobs = readBoolean(fields, 'logprobs') ?? false;
  const top = readInteger(fields, 'top_logprobs', { min: 0, max: maxTopLogprobs });
  if (top !== undefined && !logprobs) {
    throw new FieldError('invalid_value', {
      param: 'top_logprobs',
      message: "'top_logprobs' is only allowed when 'logprobs' is true.",
    });
  }
  if (logprobs) asked.add('logprobs');
  return most === undefined ? null : most * choices;
}

function readShape(fields: Fields, asked: Set<Ability>): void {
  readStop(fields['stop']);
  const { tools, response_format: format } = fields;
  if (tools !== undefined && tools !== null) {
    const list = asList(tools, 'tools');
    for (const [at, tool] of list.entries()) asObject(tool, `tools[${at}]`);
    if (list.length > 0) asked.add('tools');
  }
  if (format === undefined || format === null) return;
  const { type } = asObject(format, 'response_format');
  if (type === 'json_object') asked.add('json');
  else if (type === 'json_schema') asked.add('json_schema');
  else if (type !== 'text') {
    throw new FieldError('unsupported_value', {
      param: 'response_format.type',
      message: "'response_format.type' must be one of text, json_object, json_schema.",
    });
  }
}

function readStop(stop: unknown): void {
  if (stop === undefined || stop === null || typeof stop === 'string') return;
  if (!Array.isArray(stop)) {
    throw FieldError.type(stop, { param: 'stop', want: 'a string or an array of strings' });
  }
  if (stop.length > maxStops) {
    throw new FieldError('invalid_value', {
      param: 'stop',
      message: `'stop' has ${stop.length} elements; at most ${maxStops} are allowed.`,
    });
  }
  for (const [at, one] of stop.entries()) {
    readString({ [`stop[${at}]`]: one }, `stop[${at}]`, { required: true });
  }
}
