/** One answer of a model, as it comes: a stream of the OpenAI-compatible surface. */
import type { IncomingMessage } from 'node:http';
import { parseSseEvent, SseSplitter } from '../../lib/text/sse.ts';
import { refusalOf } from '../connection/callServer.ts';
import { openRequest, unreachableText, type ServerAddress } from '../connection/openRequest.ts';

/** Longest event of a stream that is read, in bytes. */
const maxEventBytes = 4 * 1024 * 1024;
/** Longest refusal that is read, in bytes. */
const maxRefusalBytes = 64 * 1024;

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

export interface Question {
  address: ServerAddress;
  /** Of scope inference. */
  key: string;
  /** Of the endpoint's chat completions. */
  path: string;
  /** Messages and settings. */
  body: Readonly<Record<string, unknown>>;
  /** A stream that breaks is to go on at another agent, where it may. */
  resume?: boolean;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
}

export type Asked =
  | {
      kind: 'answered';
      text: string;
      usage: Usage | null;
      finishReason: string | null;
      /** As the server names it: own agents by name, others as `shared`. */
      agent: string | null;
      /** How often it was continued at another agent. */
      resumed: number;
    }
  /** By the signal; `text` is what had come. */
  | { kind: 'cancelled'; text: string }
  | { kind: 'refused'; status: number; code: string | null; message: string }
  /** After its beginning. `message` is a sentence. */
  | { kind: 'broken'; text: string; message: string }
  | { kind: 'unreachable'; message: string };

export interface Listening {
  signal: AbortSignal;
  /** The answer begins; `agent` as in `Asked`. */
  onBegin?: (agent: string | null) => void;
  onText: (text: string) => void;
}

/** Asks with all that was said before. */
export type Asking = (messages: readonly ChatMessage[], listening: Listening) => Promise<Asked>;

/** Never rejects. */
export function askModel(question: Question, listening: Listening): Promise<Asked> {
  const { address, key, path } = question;
  const { signal } = listening;
  const body = JSON.stringify({
    ...question.body,
    stream: true,
    stream_options: { include_usage: true },
  });
  const headers = {
    accept: 'text/event-stream, application/json',
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    authorization: `Bearer ${key}`,
    ...(question.resume === true ? { 'x-xim-resume': 'on' } : {}),
  };
  return new Promise((resolve) => {
    if (signal.aborted) return resolve({ kind: 'cancelled', text: '' });
    const request = openRequest(address, { method: 'POST', path, headers });
    const abort = (): void => void request.destroy();
    signal.addEventListener('abort', abort, { once: true });
    let begun = false;
    const done = (asked: Asked): void => {
      signal.removeEventListener('abort', abort);
      resolve(asked);
    };
    request.on('response', (answer) => {
      begun = true;
      if (answer.statusCode === 200) readAnswer(answer, listening, done);
      else readRefusal(answer, done);
    });
    request.on('error', (error) => {
      // An answer that has begun tells its end by itself.
      if (begun) return;
      if (signal.aborted) done({ kind: 'cancelled', text: '' });
      else done({ kind: 'unreachable', message: unreachableText(error, address.server) });
    });
    request.end(body);
  });
}

interface Chunk {
  choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[];
  usage?: Usage | null;
  error?: { message?: string };
  x_xim_resumed?: number;
}

function readAnswer(
  answer: IncomingMessage,
  { signal, onBegin, onText }: Listening,
  done: (asked: Asked) => void,
): void {
  let text = '';
  let usage: Usage | null = null;
  let finishReason: string | null = null;
  let resumed = 0;
  const agent = headerOf(answer, 'x-xim-agent');
  onBegin?.(agent);
  let failure: string | undefined;
  let whole = false;
  const onEvent = (event: Buffer): void => {
    const { data } = parseSseEvent(event);
    if (data === undefined) return;
    if (data === '[DONE]') {
      whole = true;
      return;
    }
    const chunk = chunkOf(data);
    if (chunk === undefined) failure ??= 'An event of the answer is no JSON.';
    else if (chunk.error !== undefined) failure ??= chunk.error.message ?? 'The answer broke off.';
    else {
      usage = chunk.usage ?? usage;
      resumed = chunk.x_xim_resumed ?? resumed;
      const [choice] = chunk.choices ?? [];
      finishReason = choice?.finish_reason ?? finishReason;
      const more = choice?.delta?.content ?? '';
      text += more;
      if (more !== '') onText(more);
    }
  };
  const splitter = new SseSplitter({ maxEventBytes, onEvent });
  answer.on('data', (part: Buffer) => {
    if (splitter.push(part) === 'ok') return;
    failure ??= 'An event of the answer is too large.';
    answer.destroy();
  });
  answer.on('error', () => {
    // Its close tells the end.
  });
  answer.on('close', () => {
    if (failure !== undefined) done({ kind: 'broken', text, message: failure });
    else if (whole) done({ kind: 'answered', text, usage, finishReason, agent, resumed });
    else if (signal.aborted) done({ kind: 'cancelled', text });
    else done({ kind: 'broken', text, message: 'The connection broke before the answer’s end.' });
  });
}

function readRefusal(answer: IncomingMessage, done: (asked: Asked) => void): void {
  const status = answer.statusCode ?? 0;
  let text = '';
  answer.setEncoding('utf8');
  answer.on('data', (part: string) => {
    if (text.length < maxRefusalBytes) text += part;
  });
  answer.on('error', () => {
    // Its close tells what had come.
  });
  answer.on('close', () => done({ kind: 'refused', status, ...refusalOf(chunkOf(text), status) }));
}

function headerOf(answer: IncomingMessage, name: string): string | null {
  const value = answer.headers[name];
  if (typeof value !== 'string') return null;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function chunkOf(data: string): Chunk | undefined {
  try {
    return JSON.parse(data) as Chunk;
  } catch {
    return undefined;
  }
}
