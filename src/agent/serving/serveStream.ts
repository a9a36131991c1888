/**
 * One request at the agent: OPEN, its body, the engine, the answer, END.
 *
 *     OPEN ─▶ gathering (body, slot) ─▶ running (engine) ─▶ answering (the rest of it) ─▶ over
 *
 * Invariants
 * A1 The engine is entered with a slot of the book and never without.
 * V2 Exactly one of END and RESET leaves for a stream, also when the router has reset it: that one
 *    tells the router that the engine's side is closed.
 * V3 Status and headers leave with the first byte and not before, so that a request that breaks
 *    earlier can go to another agent.
 * V4 Nothing of a body is logged.
 */
import { errorEnvelope, errorTable } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import { freeBytes } from '../../lib/memory/freeBytes.ts';
import { leaveToCollector } from '../../lib/memory/youngGarbage.ts';
import type { Logger } from '../../lib/log.ts';
import type { LinkStream, ResetCode, StreamHandlers } from '../../protocol/link.ts';
import type { EndMessage } from '../../protocol/messages/end.ts';
import type { OpenMessage } from '../../protocol/messages/open.ts';
import { WrittenTokens } from './wireUsage.ts';
import type { Engine, EngineEnd, EngineSink, EngineUsage, JsonObject } from '../engines/engine.ts';
import { answerPieceBytes, enginePaths, maxRequestBodyBytes } from '../limits.ts';
import { isRequestBody, ServedRequest } from './servedRequest.ts';
import type { Slot, SlotBook } from './slotBook.ts';
import { wireError, type WireError } from './wireError.ts';
import {
  jsonContentType,
  streamContentType,
  wireAnswer,
  wireErrorEvent,
  WireStream,
} from './wireFinal.ts';

/** Bodies below it leave nothing that is worth a thought. */
const largeBodyBytes = 64 * 1024;
/** As the socket read it, as one message of the link, and as the engine gets it. */
const copiesOfBody = 3;
const nothing: Buffer = Buffer.alloc(0);

export interface ServeParts {
  engine: Engine;
  slots: SlotBook;
  clock: Clock;
  log: Logger;
  /** Every END that leaves, so that it is sent again until the router has it. */
  keepTrailers: (end: EndMessage) => void;
  /** Every answer whose tokens the engine has counted. */
  onAnswer: (answer: Answered) => void;
}

/** An answer that has ended, in monotonic ms. */
export interface Answered {
  instance: string;
  startedAtMs: number;
  endedAtMs: number;
  tokens: number;
}

type Phase =
  | {
      kind: 'gathering';
      /** Of the announced size, from the first chunk on; `bytes` of it have come. */
      body: Buffer;
      bytes: number;
      complete: boolean;
      slot: Slot | undefined;
    }
  | { kind: 'running'; slot: Slot; abort: AbortController }
  | { kind: 'answering' }
  | { kind: 'over' };

/** A body has been answered. Its way here and on to the engine has left copies of it. */
function dropBody(body: Buffer): void {
  if (body.length >= largeBodyBytes) leaveToCollector(body.length * copiesOfBody);
  freeBytes(body);
}

/** Accepts or refuses a request; the handlers of its stream bring it to its end. */
export function serveStream(
  parts: ServeParts,
  request: { open: OpenMessage; stream: LinkStream },
): StreamHandlers {
  const serving = new Serving(parts, request);
  serving.begin();
  return {
    onData: (chunk) => serving.onData(chunk),
    onEnd: () => serving.onBodyEnd(),
    onReset: () => serving.onReset(),
    onWritable: () => serving.onWritable(),
  };
}

class Serving implements EngineSink {
  private readonly parts: ServeParts;
  private readonly open: OpenMessage;
  private readonly stream: LinkStream;
  private readonly openedAtMs: number;
  private readonly wire: WireStream | undefined;
  private phase: Phase = {
    kind: 'gathering',
    body: nothing,
    bytes: 0,
    complete: false,
    slot: undefined,
  };
  private giveUpWaiting: (() => void) | undefined;
  private firstByteMs: number | undefined;
  /** The whole answer of a request that is not streamed. */
  private answer: Buffer | undefined;
  private readonly written = new WrittenTokens();
  /** The link takes no more for now. */
  private blocked = false;
  private wakeWriter: (() => void) | undefined;
  /** Nobody wants the rest: the router has reset the stream, or the link has died. */
  private unwanted = false;

  constructor(parts: ServeParts, request: { open: OpenMessage; stream: LinkStream }) {
    this.parts = parts;
    this.open = request.open;
    this.stream = request.stream;
    this.openedAtMs = parts.clock.monotonic();
    if (this.open.stream) this.wire = new WireStream(this.open);
  }

  begin(): void {
    const { open } = this;
    if (!enginePaths.has(open.path)) return this.refuse('refused', 'no such route');
    if (open.bodyBytes > maxRequestBodyBytes) {
      return this.refuse('body_too_large', `at most ${maxRequestBodyBytes} bytes`);
    }
    const claim = this.parts.slots.claim(open.instance, {
      onTaken: (slot) => this.onSlot(slot),
      onTimeout: () => this.refuse('not_granted', 'the slot did not become free'),
    });
    if (claim.kind === 'refused') return this.refuse(claim.code, open.instance);
    if (claim.kind === 'waiting') this.giveUpWaiting = claim.giveUp;
    else this.onSlot(claim.slot);
  }

  onData(chunk: Buffer): void {
    const { phase } = this;
    if (phase.kind !== 'gathering') return;
    if (phase.bytes + chunk.length > this.open.bodyBytes) {
      return this.refuse('refused', 'more body than announced');
    }
    // In memory of its own: a chunk is a piece of the link's message, or of a slab, and the body
    // lives as long as its stream.
    if (phase.bytes === 0) phase.body = Buffer.allocUnsafeSlow(this.open.bodyBytes);
    phase.bytes += chunk.copy(phase.body, phase.bytes);
    this.stream.consumed(chunk.length);
  }

  onBodyEnd(): void {
    if (this.phase.kind !== 'gathering') return;
    if (this.phase.bytes !== this.open.bodyBytes) {
      return this.refuse('refused', 'less body than announced');
    }
    this.phase.complete = true;
    this.runWhenReady();
  }

  /** The router wants no more of it, or the link has died. */
  onReset(): void {
    this.unwanted = true;
    this.wake();
    if (this.phase.kind === 'gathering') this.refuse('cancelled', '');
    if (this.phase.kind !== 'running') return;
    this.phase.slot.closing();
    this.phase.abort.abort();
  }

  onWritable(): void {
    this.blocked = false;
    this.wake();
  }

  // ── What the engine sees ──

  write(event: JsonObject): boolean {
    if (this.phase.kind !== 'running' || this.unwanted) return true;
    if (this.wire === undefined) {
      this.answer = wireAnswer(this.open, event);
      return true;
    }
    const bytes = this.wire.chunk(event);
    if (bytes !== undefined) this.send(bytes);
    this.written.take(event);
    return !this.blocked;
  }

  writable(): Promise<void> {
    if (!this.blocked || this.unwanted) return Promise.resolve();
    return new Promise((resolve) => {
      this.wakeWriter = resolve;
    });
  }

  // ── Steps ──

  private onSlot(slot: Slot): void {
    this.giveUpWaiting = undefined;
    if (this.phase.kind !== 'gathering') return slot.release();
    this.phase.slot = slot;
    this.runWhenReady();
  }

  private runWhenReady(): void {
    const { phase } = this;
    if (phase.kind !== 'gathering' || !phase.complete || phase.slot === undefined) return;
    const { slot, body } = phase;
    if (!isRequestBody(body)) {
      slot.release();
      this.phase = { kind: 'answering' };
      const envelope = errorEnvelope(
        'not_json',
        'The request body is no JSON object, or too deep.',
      );
      // Handled: `answerError` ends in `finish` and rejects for no expected reason.
      void this.answerError({ status: errorTable.not_json.status, envelope });
      return;
    }
    const abort = new AbortController();
    this.phase = { kind: 'running', slot, abort };
    // Handled: `run` never rejects (E1), and every way of `conclude` ends in `finish`.
    void this.run(body, abort.signal).then(async (end) => {
      slot.release();
      dropBody(body);
      this.phase = { kind: 'answering' };
      await this.conclude(end);
    });
  }

  private async run(body: Buffer, signal: AbortSignal): Promise<EngineEnd> {
    try {
      return await this.parts.engine.run(new ServedRequest(this.open, body), this, signal);
    } catch (error) {
      // E1 is broken: a bug, and one request's. It must not end the others with the process.
      const { requestId } = this.open;
      this.parts.log.error({ err: error, requestId }, 'the engine adapter failed');
      return { kind: 'failed', reason: 'engine_failed', detail: 'the engine adapter failed' };
    }
  }

  private conclude(end: EngineEnd): Promise<void> {
    if (this.unwanted) return Promise.resolve(this.concludeEarly(end));
    switch (end.kind) {
      case 'completed':
        return this.complete(end.usage);
      case 'refused':
        return this.answerError(wireError(end.status, end.error), end.usage);
      case 'failed':
        return Promise.resolve(this.refuse(end.reason, end.detail));
      case 'cancelled':
        return Promise.resolve(this.refuse('internal', 'the engine gave up by itself'));
    }
  }

  /** The engine's side is closed after a cancel: this tells the router so (V2). */
  private concludeEarly(end: EngineEnd): void {
    // It may have completed while the RESET was under way: then that is what is counted.
    const outcome = end.kind === 'completed' ? 'completed' : 'cancelled';
    this.finish(outcome, end.usage);
  }

  private async complete(usage: EngineUsage | undefined): Promise<void> {
    const { wire } = this;
    const last = wire === undefined ? this.answer : wire.finish(usage);
    if (last === undefined) return this.refuse('engine_failed', 'the engine gave no answer');
    if (wire !== undefined) this.send(last);
    else await this.sendWhole({ status: 200, body: last });
    this.finish('completed', usage);
  }

  /** A refusal of the engine's: with its status while that is possible, else as the last event. */
  private async answerError(error: WireError, usage?: EngineUsage): Promise<void> {
    if (this.firstByteMs !== undefined) {
      this.send(wireErrorEvent(error.envelope));
      return this.finish('engine_error', usage);
    }
    const body = Buffer.from(JSON.stringify(error.envelope));
    await this.sendWhole({ status: error.status, body });
    this.finish('completed', usage);
  }

  /** Streamed bytes; the first brings the head (V3). */
  private send(bytes: Buffer): void {
    if (this.firstByteMs === undefined) {
      this.firstByteMs = this.elapsedMs();
      this.stream.head({ status: 200, contentType: streamContentType });
    }
    if (!this.stream.write(bytes)) this.blocked = true;
  }

  /** A whole JSON answer, in pieces that the link's bound on one write allows. */
  private async sendWhole(answer: { status: number; body: Buffer }): Promise<void> {
    this.firstByteMs = this.elapsedMs();
    this.stream.head({ status: answer.status, contentType: jsonContentType });
    const { body } = answer;
    for (let at = 0; at < body.length && !this.unwanted; at += answerPieceBytes) {
      if (this.stream.write(body.subarray(at, at + answerPieceBytes))) continue;
      this.blocked = true;
      await this.writable();
    }
  }

  /** Ends with RESET. */
  private refuse(code: ResetCode, detail: string): void {
    if (this.phase.kind === 'over') return;
    this.giveUpWaiting?.();
    if (this.phase.kind === 'gathering') this.phase.slot?.release();
    this.phase = { kind: 'over' };
    this.parts.log.debug({ requestId: this.open.requestId, code, detail }, 'request reset');
    this.stream.reset(code, detail);
  }

  /** Ends with END and keeps its trailers. */
  private finish(outcome: EndMessage['outcome'], usage: EngineUsage | undefined): void {
    if (this.phase.kind === 'over') return;
    this.phase = { kind: 'over' };
    const { firstByteMs } = this;
    const end: EndMessage = {
      requestId: this.open.requestId,
      ...(usage === undefined ? {} : { usage }),
      ...(this.written.count > 0 ? { written: this.written.count } : {}),
      timings: {
        ...(firstByteMs === undefined ? {} : { firstByteMs }),
        totalMs: this.elapsedMs(),
      },
      outcome,
    };
    this.parts.keepTrailers(end);
    if (usage !== undefined) this.tellAnswer(usage.output);
    this.stream.end(end);
  }

  private tellAnswer(tokens: number): void {
    const startedAtMs = this.openedAtMs + (this.firstByteMs ?? 0);
    const endedAtMs = this.parts.clock.monotonic();
    this.parts.onAnswer({ instance: this.open.instance, startedAtMs, endedAtMs, tokens });
  }

  private wake(): void {
    const wake = this.wakeWriter;
    this.wakeWriter = undefined;
    wake?.();
  }

  private elapsedMs(): number {
    return this.parts.clock.monotonic() - this.openedAtMs;
  }
}
