/**
 * One dispatch of a request to one engine instance: the stream on the link, and the relay of its
 * answer. Chunks of a stream go from the link's message to the client's socket in `onData`: no
 * JSON, no copy, no closure, no promise, no timer, no look at the clock.
 *
 *     asked ──first whole event──▶ streaming ─┐
 *       ├────head that is no stream──▶ holding ├──END──▶ closed
 *       │                        └─too large──▶ passing ─┘
 *       ├────of a continued answer: first chunk──▶ continuing ──END──▶ closed
 *       └──own reset, from everywhere──▶ resetting ──confirmed, or given up──▶ closed
 *     RESET by the agent and the link's death close it from everywhere.
 *
 * Invariants
 * R1 The slot is given back exactly once, in `close`: when the agent's side is known to be closed.
 * R3 Bytes reach the client only from here, and only until `close` or an own reset.
 * B1 Credit goes back when the client's socket has taken the bytes: a slow client stalls itself.
 */
import type { Dispatch } from '../../domain/scheduler/schedulerEvents.ts';
import type { Tier } from '../../domain/tiers/tiers.ts';
import type { Confirmation, LinkStream, ResetCode, StreamHandlers } from '../../protocol/link.ts';
import type { EndMessage } from '../../protocol/messages/end.ts';
import type { HeadMessage } from '../../protocol/messages/head.ts';
import type { OpenMessage } from '../../protocol/messages/open.ts';
import type { AgentLink, RunningOn } from '../links/agentLink.ts';
import { confirmTimeoutMs, maxHeldAnswerBytes, slowClientMs } from '../limits.ts';
import type { ClientSink } from '../ports.ts';
import type { Continuation, Resumable } from '../resuming/resumable.ts';
import { EventTail, isPlain } from './eventTail.ts';
import { GatheredBytes } from '../../lib/memory/gatheredBytes.ts';

/** Time as of the last sweep: what a chunk is stamped with. */
export interface CoarseTime {
  nowMs: number;
}

/**
 * Why a running attempt has to be stopped; `late` (no first byte) and `stalled` (nothing more) only
 * where somebody else could do better.
 */
export type Overdue = 'request_timeout' | 'idle' | 'client_too_slow' | 'late' | 'stalled';

/** When to look for somebody else, in ms; null: by the tier, by the engine's own speed. */
export interface FailureLimits {
  firstByteMs: number | null;
  stallMs: number | null;
}

/** How an answer went out. */
export interface Answered {
  head: HeadMessage;
  end: EndMessage | undefined;
  answerBytes: number;
}

/** Whom an attempt reports to: its request. */
export interface AttemptOwner {
  readonly sink: ClientSink;
  /** Status and headers are to go out, with the first bytes right behind. */
  onBegun(attempt: Attempt, head: HeadMessage): void;
  /** The first bytes of an answer that goes on are with the client's socket. */
  onFirstBytes(attempt: Attempt): void;
  /** The continued answer is at its end, and its engine is not. */
  onStopped(attempt: Attempt): void;
  /** The answer is complete; what is held goes out with `finish`. */
  onAnswered(attempt: Attempt, answered: Answered): void;
  /** The agent or its link failed. The slot is free. */
  onBroken(attempt: Attempt, failure: { code: ResetCode; detail: string }): void;
  /** The agent's side of an own reset has closed. `end`: its trailers, if it sent them. */
  onSettled(attempt: Attempt, how: { end: EndMessage | undefined; neverRan: boolean }): void;
  /** Nothing more comes of it; called once, after the others. */
  onClosed(attempt: Attempt): void;
}

type Phase = 'asked' | 'streaming' | 'continuing' | 'holding' | 'passing' | 'resetting' | 'closed';

const eventStream = 'text/event-stream';
/**
 * What agents say before they give a request to an engine, and not after. They are never the first
 * to say `cancelled`: with it they confirm an order to stop that came before the engine was asked.
 */
const turnedAway: ReadonlySet<ResetCode> = new Set([
  'not_granted',
  'unknown_instance',
  'refused',
  'body_too_large',
  'cancelled',
]);
const doneEvent = Buffer.from('data: [DONE]\n\n');

export class Attempt implements StreamHandlers {
  readonly claim: number;
  readonly dispatch: Dispatch;
  readonly tier: Tier;
  readonly link: AgentLink;
  /** Bytes of the answer that arrived. */
  answerBytes = 0;
  /** The client is getting server-sent events: an error can still be told. */
  isEventStream = false;
  /** It goes on with an answer of which the client has a part; null: it begins one. */
  readonly continuation: Continuation | null;
  /** Keeps what goes out, so that others can continue it; null: nobody will. */
  private readonly keeper: Resumable | null;
  private readonly owner: AttemptOwner;
  private readonly sink: ClientSink;
  private readonly time: CoarseTime;
  private readonly limits: FailureLimits;
  private phase: Phase = 'asked';
  private stream: LinkStream | undefined;
  /** What runs on its instance, itself included. */
  private running: RunningOn | undefined;
  private head: HeadMessage | undefined;
  private readonly tail = new EventTail();
  private readonly held = new GatheredBytes();
  readonly startedAtMs: number;
  private activeAtMs: number;
  /** The client's socket is full: credit for these bytes waits for it to drain. */
  private stalled = false;
  private stalledBytes = 0;
  private stalledAtMs = 0;
  private resetAtMs = 0;
  private streams = false;

  constructor(options: {
    dispatch: Dispatch;
    tier: Tier;
    link: AgentLink;
    owner: AttemptOwner;
    time: CoarseTime;
    limits: FailureLimits;
    nowMs: number;
    continuation?: Continuation | null;
    keeper?: Resumable | null;
  }) {
    this.dispatch = options.dispatch;
    this.claim = options.dispatch.claim;
    this.tier = options.tier;
    this.link = options.link;
    this.owner = options.owner;
    this.sink = options.owner.sink;
    this.time = options.time;
    this.limits = options.limits;
    this.continuation = options.continuation ?? null;
    this.keeper = options.keeper ?? null;
    this.isEventStream = this.continuation !== null;
    this.startedAtMs = options.nowMs;
    this.activeAtMs = options.nowMs;
  }

  /** Sends the request. Everything else follows from what comes back. */
  start(message: OpenMessage, body: Buffer): void {
    this.streams = message.stream;
    this.running = this.link.take(this.dispatch.instance);
    this.stream = this.link.peer.open(message, this);
    this.stream.write(body);
    this.stream.end();
  }

  /** A stream of which nothing has come. */
  get isUnanswered(): boolean {
    return this.phase === 'asked' && this.streams;
  }

  /** Its engine has answered nobody since it was asked. */
  get isEngineSilent(): boolean {
    return (this.running?.heardAtMs ?? -Infinity) < this.startedAtMs;
  }

  /**
   * Whether it is certain that no engine was given the prompt, when the agent ended it with such a
   * code: it turned the prompt away, or never had the end of its body. Undefined: with none.
   */
  neverRan(code: ResetCode | undefined): boolean {
    if (this.stream?.bodyIsSent === false) return true;
    return this.stream?.hasBegun !== true && code !== undefined && turnedAway.has(code);
  }

  /** Whether nothing looks at the request's body any more. */
  get bodyIsSpent(): boolean {
    return (this.stream?.pendingBytes ?? 0) === 0;
  }

  // From the link

  onHead(head: HeadMessage): void {
    this.head = head;
    this.activeAtMs = this.time.nowMs;
    const streams = head.status === 200 && head.contentType.startsWith(eventStream);
    if (!streams && this.phase === 'asked') this.phase = 'holding';
  }

  onData(chunk: Buffer): void {
    this.activeAtMs = this.time.nowMs;
    if (this.running !== undefined) this.running.heardAtMs = this.activeAtMs;
    this.answerBytes += chunk.length;
    if (this.phase === 'streaming' && this.tail.isEmpty && isPlain(chunk)) {
      if (this.keeper !== null) this.keeper.keep(chunk);
      this.credit(chunk.length, this.sink.write(chunk));
    } else this.onRareData(chunk);
  }

  onEnd(end: EndMessage | undefined): void {
    const { head, answerBytes } = this;
    if (head === undefined) return this.onReset('internal', 'END before HEAD');
    const was = this.close();
    if (was === 'resetting') this.settled({ end });
    else if (was !== 'closed') this.owner.onAnswered(this, { head, end, answerBytes });
    if (was !== 'closed') this.owner.onClosed(this);
  }

  onReset(code: ResetCode, detail: string): void {
    const was = this.close();
    if (was === 'resetting') this.settled({ code });
    else if (was !== 'closed') this.owner.onBroken(this, { code, detail });
    if (was !== 'closed') this.owner.onClosed(this);
  }

  onConfirmed(by: Confirmation): void {
    if (this.phase !== 'resetting') return;
    this.close();
    this.settled(by);
    this.owner.onClosed(this);
  }

  // From the request

  /** Stops the engine. The slot stays held until the agent says that it has. */
  reset(code: ResetCode, nowMs: number): void {
    if (this.phase === 'closed' || this.phase === 'resetting') return;
    this.phase = 'resetting';
    this.resetAtMs = nowMs;
    this.held.take();
    this.stream?.reset(code);
  }

  /** After the end: what was held until the journal had its line, and the end of the answer. */
  finish(): void {
    const rest = this.rest();
    if (rest.length > 0) this.sink.write(rest);
    this.sink.end();
  }

  /** It answered, but did not bring to its end what it was to continue. */
  isUnfinished(end: EndMessage | undefined): boolean {
    const { continuation, answerBytes, held } = this;
    if (continuation === null || continuation.stream.phase === 'finished') return false;
    // An error of the engine's is an end, too: the client has been told.
    return !(end?.outcome === 'engine_error' && answerBytes > 0 && held.length === 0);
  }

  private rest(): Buffer {
    if (this.continuation !== null) return doneEvent;
    return this.held.length > 0 ? this.held.take() : this.tail.rest();
  }

  /** Whether an event went out in part, so that its end must go out before anything else. */
  get tornEvent(): boolean {
    return this.tail.isTorn;
  }

  /** The client's socket has room again (B1). */
  onDrain(): void {
    this.stalled = false;
    const bytes = this.stalledBytes;
    this.stalledBytes = 0;
    this.activeAtMs = this.time.nowMs;
    if (bytes > 0) this.stream?.consumed(bytes);
  }

  /** Called by the sweep. Why the request has to be stopped; null = it may go on. */
  overdue(nowMs: number): Overdue | null {
    switch (this.phase) {
      case 'asked':
        return this.overdueFirst(nowMs - this.startedAtMs);
      case 'holding':
        return nowMs - this.startedAtMs >= this.tier.requestTimeoutMs ? 'request_timeout' : null;
      case 'streaming':
      case 'continuing':
      case 'passing':
        if (this.stalled)
          return nowMs - this.stalledAtMs >= slowClientMs ? 'client_too_slow' : null;
        return this.overdueNext(nowMs - this.activeAtMs);
      case 'resetting':
      case 'closed':
        return null;
    }
  }

  /** Called by the sweep. An agent that never confirms a reset does not hold the slot for ever. */
  giveUpUnconfirmed(nowMs: number): void {
    if (this.phase !== 'resetting') return;
    if (nowMs - this.resetAtMs >= confirmTimeoutMs) this.onConfirmed({});
  }

  private overdueFirst(sinceMs: number): Overdue | null {
    if (sinceMs >= this.tier.requestTimeoutMs) return 'request_timeout';
    const { firstByteMs } = this.limits;
    // What is no stream has its first byte when it has its last.
    return this.streams && firstByteMs !== null && sinceMs >= firstByteMs ? 'late' : null;
  }

  private overdueNext(sinceMs: number): Overdue | null {
    if (sinceMs >= this.tier.idleStreamTimeoutMs) return 'idle';
    return sinceMs >= (this.limits.stallMs ?? this.dispatch.stallMs) ? 'stalled' : null;
  }

  // The rare ways of a chunk

  private onRareData(chunk: Buffer): void {
    switch (this.phase) {
      case 'asked':
      case 'streaming':
        return this.passEvents(chunk);
      case 'continuing':
        return this.passContinued(chunk);
      case 'holding':
        return this.hold(chunk);
      case 'passing':
        return this.credit(chunk.length, this.sink.write(chunk));
      case 'resetting':
      case 'closed':
        return;
    }
  }

  private passEvents(chunk: Buffer): void {
    if (this.continuation !== null) {
      this.phase = 'continuing';
      this.passContinued(chunk);
      return this.owner.onFirstBytes(this);
    }
    const whole = this.tail.take(chunk);
    if (whole.length === 0) return this.credit(chunk.length, true);
    if (this.phase === 'asked') return this.begin('streaming', { whole, chunk });
    if (this.keeper !== null) this.keeper.keep(whole);
    this.credit(chunk.length, this.sink.write(whole));
  }

  /** Of a continued answer: what the client has not had yet. */
  private passContinued(chunk: Buffer): void {
    const stream = this.continuation?.stream;
    if (stream === undefined) return;
    const out = stream.push(chunk);
    if (out.length > 0) this.keeper?.keep(out);
    this.credit(chunk.length, out.length === 0 || this.sink.write(out));
    if (stream.phase === 'stopped') this.owner.onStopped(this);
  }

  private begin(phase: 'streaming' | 'passing', first: { whole: Buffer; chunk: Buffer }): void {
    this.phase = phase;
    this.isEventStream = phase === 'streaming';
    if (this.head !== undefined) this.owner.onBegun(this, this.head);
    if (this.isEventStream) this.keeper?.keep(first.whole);
    this.credit(first.chunk.length, this.sink.write(first.whole));
    this.owner.onFirstBytes(this);
  }

  /** An answer in one piece is kept until its end, so that a failure can still be retried. */
  private hold(chunk: Buffer): void {
    this.held.push(chunk);
    if (this.answerBytes <= maxHeldAnswerBytes) return this.credit(chunk.length, true);
    this.begin('passing', { whole: this.held.take(), chunk });
  }

  /** B1. */
  private credit(bytes: number, took: boolean): void {
    if (took && !this.stalled) return this.stream?.consumed(bytes);
    if (!this.stalled) {
      this.stalled = true;
      this.stalledAtMs = this.time.nowMs;
    }
    this.stalledBytes += bytes;
  }

  private settled({ end, code }: Confirmation): void {
    this.owner.onSettled(this, { end, neverRan: this.neverRan(code) });
  }

  /** R1. Gives what it was until now. */
  private close(): Phase {
    const was = this.phase;
    this.phase = 'closed';
    if (was !== 'closed') this.link.give(this.dispatch.instance);
    return was;
  }
}
