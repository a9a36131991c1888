/**
 * One request to an attached engine, from dispatch to its end (E1, E2, E3 of `engine.ts`).
 *
 * Bytes come from undici's parser straight into the event splitter; an event is parsed once. When
 * the reader is behind, the engine's socket is paused and what one read had brought waits.
 */
import type { Dispatcher } from 'undici';
import type { Clock, Timer } from '../../lib/clock.ts';
import { parseSseEvent, SseSplitter } from '../../lib/sse.ts';
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
  /** A whole body: an answer, or an error (`status` ≥ 400). */
  | { kind: 'body'; status: number; maxBytes: number; chunks: Buffer[]; bytes: number };

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
    const events = String(headers['content-type']).startsWith('text/event-stream');
    if (status === 200 && this.call.stream && events) {
      const onEvent = (raw: Buffer): void => this.onEvent(raw);
      const splitter = new SseSplitter({ maxEventBytes: maxEngineEventBytes, onEvent });
      this.reading = { kind: 'events', splitter };
      return;
    }
    const maxBytes = status === 200 ? maxEngineAnswerBytes : maxEngineErrorBytes;
    this.reading = { kind: 'body', status, maxBytes, chunks: [], bytes: 0 };
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.settled) return;
    const { reading } = this;
    if (reading.kind === 'events') {
      if (reading.splitter.push(chunk) === 'event_too_large') this.fail('an event was too large');
    } else if (reading.kind === 'body') {
      reading.bytes += chunk.length;
      if (reading.bytes > reading.maxBytes) this.fail('the answer was too large');
      else reading.chunks.push(chunk);
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
    const data = eventData(raw);
    if (data === undefined || this.lingering !== undefined) return;
    if (data === '[DONE]') return this.linger();
    const event = parseObject(data);
    if (event === undefined) return this.fail('an event is not a JSON object');
    if (isErrorEvent(event)) return this.settle(endOfError(readEngineError(event), undefined));
    this.note(event);
    if (!this.settled && !this.call.sink.write(event)) this.pause();
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

  private finishBody({ status, chunks }: Extract<Reading, { kind: 'body' }>): void {
    const text = Buffer.concat(chunks).toString('utf8');
    const body = parseObject(text);
    if (status !== 200) {
      const error = readEngineError(body ?? { message: text.slice(0, 500) });
      return this.settle(endOfError(error, status));
    }
    if (body === undefined) return this.fail('the answer is not a JSON object');
    if (isErrorEvent(body)) return this.settle(endOfError(readEngineError(body), undefined));
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

/** The data of one raw event; the usual single `data:` line is read without splitting. */
function eventData(raw: Buffer): string | undefined {
  const single = raw[0] === 0x64 && raw[1] === 0x61 && raw[4] === 0x3a;
  if (!single || raw.includes(0x0a) || raw.includes(0x0d)) return parseSseEvent(raw).data;
  return raw.toString('utf8', raw[5] === 0x20 ? 6 : 5);
}
