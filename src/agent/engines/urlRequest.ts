/**
 * One request to an attached engine, from dispatch to its end (E1, E2, E3 of `engine.ts`).
 *
 * Bytes come from undici's parser straight into the event splitter; an event is parsed once. When
 * the reader is behind, the engine's socket is paused and what one read had brought waits.
 */
import type { Dispatcher } from 'undici';
import type { Clock, Timer } from '../../lib/clock.ts';
import { GatheredBytes } from '../../lib/memory/gatheredBytes.ts';
import { parseSseEvent, SseSplitter } from '../../lib/text/sse.ts';
import { codeOf } from '../joining/connectionError.ts';
import {
  doneLingerMs,
  maxEngineAnswerBytes,
  maxEngineErrorBytes,
  maxEngineEventBytes,
} from '../limits.ts';
import { arrayOf, objectOf, parseObject } from '../serving/jsonValue.ts';
import { usageOf } from '../serving/wireUsage.ts';
import type { EngineEnd, EngineSink, EngineUsage, JsonObject } from './engine.ts';
import { endOfError, isErrorEvent, readEngineError } from './engineError.ts';

/** Connection errors that mean: there is no engine. */
const unreachable = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Reasons of a choice that are no clean end, whatever else the engine says. */
const brokenReasons = new Set(['abort', 'error']);

export interface UrlCall {
  dispatcher: Dispatcher;
  clock: Clock;
  path: string;
  headers: Record<string, string>;
  body: Buffer;
  stream: boolean;
  sink: EngineSink;
  signal: AbortSignal;
}

export interface CallEnd {
  end: EngineEnd;
  /** The connection was cut before a byte of an answer came: the engine may not have seen it. */
  cutUnanswered: boolean;
}

/** Runs the request. Resolves once, never rejects. */
export function callEngine(call: UrlCall): Promise<CallEnd> {
  if (call.signal.aborted) {
    return Promise.resolve({ end: { kind: 'cancelled' }, cutUnanswered: false });
  }
  return new Promise((resolve) => {
    const exchange = new Exchange(call, resolve);
    exchange.begin();
  });
}

type Reading =
  | { kind: 'nothing' }
  | { kind: 'events'; splitter: SseSplitter }
  /** A whole body: an answer (200), or an error. `type` is its media type. */
  | { kind: 'body'; status: number; type: string; maxBytes: number; bytes: GatheredBytes };

class Exchange implements Dispatcher.DispatchHandler {
  private readonly call: UrlCall;
  private readonly resolve: (end: CallEnd) => void;
  private readonly onAbort = (): void => this.settle({ kind: 'cancelled' });
  private controller: Dispatcher.DispatchController | undefined;
  private settled = false;
  private reading: Reading = { kind: 'nothing' };
  /** Events of the last read that wait for the reader; undefined while it keeps up. */
  private held: Buffer[] | undefined;
  private usage: EngineUsage | undefined;
  /** A choice has had its reason: an engine that leaves out [DONE] has ended all the same. */
  private sawReason = false;
  private responseOver = false;
  private lingering: Timer | undefined;

  constructor(call: UrlCall, resolve: (end: CallEnd) => void) {
    this.call = call;
    this.resolve = resolve;
  }

  begin(): void {
    const { dispatcher, path, headers, body, signal } = this.call;
    signal.addEventListener('abort', this.onAbort, { once: true });
    dispatcher.dispatch({ path, method: 'POST', headers, body }, this);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    if (this.settled) controller.abort(new Error('the request is over'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (this.settled) return;
    const type = String(headers['content-type']).toLowerCase();
    if (status === 200 && this.call.stream && type.startsWith('text/event-stream')) {
      const onEvent = (raw: Buffer): void => this.onEvent(raw);
      const splitter = new SseSplitter({ maxEventBytes: maxEngineEventBytes, onEvent });
      this.reading = { kind: 'events', splitter };
      return;
    }
    const maxBytes = status === 200 ? maxEngineAnswerBytes : maxEngineErrorBytes;
    this.reading = { kind: 'body', status, type, maxBytes, bytes: new GatheredBytes() };
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.settled) return;
    const { reading } = this;
    if (reading.kind === 'events') {
      if (reading.splitter.push(chunk) === 'event_too_large') this.fail('an event was too large');
    } else if (reading.kind === 'body') {
      const length = reading.bytes.length + chunk.length;
      if (length > reading.maxBytes) this.fail('the answer was too large');
      else reading.bytes.push(chunk);
    }
  }

  onResponseEnd(): void {
    this.responseOver = true;
    if (this.settled || this.held !== undefined) return;
    this.finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.responseOver = true;
    if (this.settled) return;
    const code = codeOf(error);
    const unanswered = this.reading.kind === 'nothing';
    const reason = unanswered && unreachable.has(code) ? 'engine_unreachable' : 'engine_failed';
    const cutUnanswered = unanswered && reason === 'engine_failed';
    this.settle({ kind: 'failed', reason, detail: `connection: ${code}` }, cutUnanswered);
  }

  private onEvent(raw: Buffer): void {
    if (this.settled) return;
    if (this.held === undefined) this.read(raw);
    else this.held.push(raw);
  }

  private read(raw: Buffer): void {
    if (this.lingering !== undefined) return;
    if (isSingleData(raw)) return this.readData(raw.toString('utf8', dataField.length));
    const { name, data } = parseSseEvent(raw);
    const error = name === 'error' ? data : errorField(raw);
    if (error !== undefined) this.settleError(parseObject(error) ?? { message: error });
    else if (data !== undefined) this.readData(data);
  }

  private readData(data: string): void {
    const event = parseObject(data);
    if (event === undefined) return this.readWord(data.trim());
    if (isErrorEvent(event)) return this.settleError(event);
    this.note(event);
    if (!this.settled && !this.call.sink.write(event)) this.pause();
  }

  private readWord(word: string): void {
    if (word === '[DONE]') this.linger();
    else if (word !== '') this.fail('an event is not a JSON object');
  }

  /** An error inside an answer that began with 200. */
  private settleError(error: JsonObject): void {
    this.settle(endOfError(readEngineError(error), undefined));
  }

  /** Keeps what the end will need. */
  private note(event: JsonObject): void {
    this.usage = usageOf(event) ?? this.usage;
    for (const choice of arrayOf(event['choices'])) {
      const reason = objectOf(choice)?.['finish_reason'];
      if (typeof reason !== 'string' || reason === '') continue;
      if (brokenReasons.has(reason)) return this.fail(`the engine ended with "${reason}"`);
      this.sawReason = true;
    }
  }

  /**
   * The answer is complete. The connection is given a moment to end its response, so that it can be
   * used again; the slot is not free before, because the engine is still at it.
   */
  private linger(): void {
    this.sawReason = true;
    this.lingering = this.call.clock.setTimer(doneLingerMs, () => this.finish());
  }

  private pause(): void {
    this.held = [];
    this.controller?.pause();
    // Never rejects, and a request that is over does nothing with it.
    void this.call.sink.writable().then(() => this.proceed());
  }

  private proceed(): void {
    const waiting = this.held ?? [];
    this.held = undefined;
    for (const [at, raw] of waiting.entries()) {
      if (this.settled) return;
      this.read(raw);
      if (this.paused()) {
        this.held = waiting.slice(at + 1);
        return;
      }
    }
    if (this.settled) return;
    if (this.responseOver) this.finish();
    else this.controller?.resume();
  }

  private paused(): boolean {
    return this.held !== undefined;
  }

  private finish(): void {
    const { reading } = this;
    if (reading.kind === 'body') return this.finishBody(reading);
    if (reading.kind === 'events') {
      const rest = reading.splitter.finish();
      if (rest !== undefined) this.read(rest);
    }
    if (this.settled) return;
    if (!this.sawReason) return this.fail('the stream ended before the answer did');
    this.settle({ kind: 'completed' });
  }

  private finishBody({ status, type, bytes }: Extract<Reading, { kind: 'body' }>): void {
    const text = bytes.take().toString('utf8');
    const body = parseObject(text);
    if (status !== 200) {
      // A page of a proxy says nothing that a client could use.
      const words = type.startsWith('text/plain') ? { message: text.slice(0, 500) } : undefined;
      return this.settle(endOfError(readEngineError(body ?? words), status));
    }
    if (body === undefined) return this.fail('the answer is not a JSON object');
    if (isErrorEvent(body)) return this.settleError(body);
    if (this.call.stream) return this.fail('the engine did not stream');
    this.note(body);
    if (this.settled) return;
    // The whole answer goes in one piece; there is nothing to pause after it.
    this.call.sink.write(body);
    this.settle({ kind: 'completed' });
  }

  private counted(): { usage?: EngineUsage } {
    return this.usage === undefined ? {} : { usage: this.usage };
  }

  private fail(detail: string): void {
    this.settle({ kind: 'failed', reason: 'engine_failed', detail });
  }

  /** The one end. Cuts the connection unless the response is over, so that the engine stops. */
  private settle(end: EngineEnd, cutUnanswered = false): void {
    if (this.settled) return;
    this.settled = true;
    this.lingering?.cancel();
    this.call.signal.removeEventListener('abort', this.onAbort);
    if (!this.responseOver) this.controller?.abort(new Error('the request is over'));
    this.resolve({ end: { ...end, ...this.counted() }, cutUnanswered });
  }
}

const dataField = 'data:';
const errorName = 'error:';

/** The usual event: one `data:` line, read without splitting. JSON may begin with a space. */
function isSingleData(raw: Buffer): boolean {
  return begins(raw, dataField) && !raw.includes(0x0a) && !raw.includes(0x0d);
}

/**
 * Versions of llama-server put the error of a broken stream into a field of its own, `error: {…}`,
 * and end with a clean [DONE] all the same.
 */
function errorField(raw: Buffer): string | undefined {
  if (!begins(raw, errorName)) return undefined;
  return raw.toString('utf8', errorName.length).trim();
}

/** Byte by byte: it is asked of every event. `field` is ASCII. */
function begins(raw: Buffer, field: string): boolean {
  for (let at = 0; at < field.length; at += 1) {
    if (raw[at] !== field.charCodeAt(at)) return false;
  }
  return true;
}
