/**
 * One end of a link: reads messages into frames, keeps the streams, and closes the link with a
 * reason when the peer breaks the protocol. `routerLink.ts` and `agentLink.ts` say which frames
 * each end may be sent.
 *
 * The relay's cost is here: for a DATA frame nothing runs but a header read in place, one map
 * look-up, the credit's subtraction and the handler. No schema, no JSON, no copy, no timer.
 *
 * Invariants
 * K1 One terminal path, `finish`: the link's handler first, then each stream, each once.
 * K2 After `finish` nothing of the peer is read any more, and its transport is gone within
 *    `closeGraceMs`.
 * K3 Nothing that a peer sends makes this throw.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import { closeCodes, closeReason } from '../wire/closeCode.ts';
import { frameName, type ControlReader } from '../wire/controlCodec.ts';
import { encodePing, frameFlag, frameHeaderBytes, frameType, readCredit } from '../wire/frame.ts';
import type { FrameName } from '../wire/frame.ts';
import { SteadyMap } from '../../lib/memory/steadyMap.ts';
import type { LinkLimits } from '../limits.ts';
import type { ClosedBy, LinkCloseReason, Transport, TransportHandlers } from '../link.ts';
import { Liveness } from './liveness.ts';
import type { MuxStream, StreamOwner } from './muxStream.ts';
import { Outbox } from './outbox.ts';
import { readReset, shortened } from '../wire/resetCode.ts';

/** The handshake: CHALLENGE → HELLO → WELCOME. Each end moves at the frames that it sees. */
export type LinkPhase = 'greeting' | 'judging' | 'open' | 'closed';

export interface LinkOptions {
  transport: Transport;
  clock: Clock;
  limits: LinkLimits;
}

type OnClose = (reason: LinkCloseReason, detail: string, by: ClosedBy) => void;

export abstract class LinkCore<Control extends { type: string }, Stream extends MuxStream>
  implements StreamOwner, TransportHandlers
{
  readonly limits: LinkLimits;
  readonly outbox: Outbox;
  protected phase: LinkPhase = 'greeting';
  protected readonly streams = new SteadyMap<number, Stream>();
  protected readonly liveness: Liveness;
  private readonly transport: Transport;
  private readonly clock: Clock;
  private readonly controlReader: ControlReader<Control>;
  private readonly tellClosed: OnClose;
  private controlFrames = 0;
  private controlBytes = 0;
  private graceTimer: Timer | undefined;

  constructor(options: LinkOptions & { controlReader: ControlReader<Control>; onClose: OnClose }) {
    const { transport, clock, limits } = options;
    this.transport = transport;
    this.clock = clock;
    this.limits = limits;
    this.controlReader = options.controlReader;
    this.tellClosed = options.onClose;
    this.outbox = new Outbox({
      transport,
      limits,
      onOverflow: () => this.close('too_slow', 'control frames are not read'),
    });
    this.liveness = new Liveness({
      clock,
      limits,
      events: {
        onTick: (counter) => this.onTick(counter),
        onSilent: (detail) => this.close('silent', detail),
      },
    });
    transport.handlers = this;
  }

  /** Control messages that this end may be sent in this phase. */
  protected abstract acceptsControl(name: FrameName): boolean;
  protected abstract onControl(message: Control): void;
  /** OPEN at the agent, HEAD and END at the router; anything else is a violation. */
  protected abstract onStreamMessage(name: FrameName, stream: number, payload: Buffer): void;
  /** A frame for a stream that is not open here. */
  protected abstract onStrayFrame(stream: number, dataBytes: number): void;

  rttMs(): number | undefined {
    return this.liveness.rttMs;
  }

  lastFrameAtMs(): number {
    return this.liveness.lastFrameAtMs;
  }

  openStreams(): number {
    return this.streams.size;
  }

  close(reason: LinkCloseReason, detail = ''): void {
    this.finish(reason, detail, 'us');
  }

  violation(detail: string, reason: LinkCloseReason = 'protocol_error'): void {
    this.finish(reason, detail, 'us');
  }

  onStreamClosed(stream: MuxStream): void {
    this.streams.delete(stream.id);
  }

  // ── From the transport ──

  onMessage(message: Buffer): void {
    if (this.phase === 'closed') return;
    this.liveness.lastFrameAtMs = this.clock.monotonic();
    const size = message.length;
    if (size === 0) return this.violation('empty message');
    if (size > this.limits.maxMessageBytes) return this.violation('oversized message');
    let at = 0;
    while (at < size) {
      if (size - at < frameHeaderBytes) return this.violation('truncated header');
      const start = at + frameHeaderBytes;
      const length =
        ((message[at + 6] as number) << 16) |
        ((message[at + 7] as number) << 8) |
        (message[at + 8] as number);
      if (length > this.limits.maxFramePayloadBytes) return this.violation('oversized frame');
      if (size - start < length) return this.violation('truncated payload');
      const stream = message.readUInt32BE(at + 2);
      const flags = message[at + 1] as number;
      const payload = message.subarray(start, start + length);
      if (message[at] === frameType.data) this.onDataFrame(stream, flags, payload);
      else this.onOtherFrame({ type: message[at] as number, flags, stream, payload });
      // A handler or a violation may have closed the link: the rest is nobody's any more (K2).
      if ((this.phase as LinkPhase) === 'closed') return;
      at = start + length;
    }
  }

  onClose(code: number, reason: string): void {
    this.graceTimer?.cancel();
    this.finish(closeReason(code), reason, 'peer');
  }

  onError(error: Error): void {
    this.finish('transport_error', error.message, 'peer');
  }

  onViolation(detail: string): void {
    this.violation(detail);
  }

  onDrain(): void {
    this.outbox.onDrain();
  }

  // ── Frames ──

  private onDataFrame(id: number, flags: number, payload: Buffer): void {
    if (this.phase !== 'open') return this.violation('DATA before the handshake');
    const stream = this.streams.get(id);
    if (stream === undefined) this.onStrayFrame(id, payload.length);
    else stream.onData(payload, flags);
  }

  private onOtherFrame(frame: {
    type: number;
    flags: number;
    stream: number;
    payload: Buffer;
  }): void {
    const { type, flags, stream, payload } = frame;
    const name = frameName(type);
    if (name === undefined) return this.violation(`unknown frame type ${type}`);
    if (stream === 0) return this.onLinkFrame(name, flags, payload);
    if (flags !== 0) return this.violation(`flags ${flags} on ${name}`);
    if (this.phase !== 'open') return this.violation(`${name} before the handshake`);
    if (name === 'credit') this.onCreditFrame(stream, payload);
    else if (name === 'reset') this.onResetFrame(stream, payload);
    else this.onStreamMessage(name, stream, payload);
  }

  private onLinkFrame(name: FrameName, flags: number, payload: Buffer): void {
    this.controlFrames += 1;
    this.controlBytes += payload.length;
    if (this.controlFrames > this.limits.maxControlFramesPerTick) {
      return this.violation('flood of control frames');
    }
    if (this.controlBytes > this.limits.maxControlBytesPerTick) {
      return this.violation('flood of control bytes');
    }
    if (name === 'ping' || name === 'pong') return this.onPingFrame(name, flags, payload);
    if (!this.acceptsControl(name)) return this.violation(`${name} is out of place`);
    // Before the handshake is over nobody is known: a message is one frame, and no more is held.
    if (flags !== 0 && (flags !== frameFlag.more || this.phase !== 'open')) {
      return this.violation(`flags ${flags} on ${name}`);
    }
    const outcome = this.controlReader.read({ name, more: flags === frameFlag.more, payload });
    if (outcome.kind === 'bad') this.violation(outcome.detail);
    else if (outcome.kind === 'message') this.onControl(outcome.message);
  }

  private onPingFrame(name: 'ping' | 'pong', flags: number, payload: Buffer): void {
    if (this.phase !== 'open') return this.violation(`${name} before the handshake`);
    if (flags !== 0 || payload.length !== 4) return this.violation(`malformed ${name}`);
    const counter = payload.readUInt32BE(0);
    if (name === 'pong') this.liveness.pong(counter);
    else this.outbox.pushControl(encodePing({ type: 'pong', counter }));
  }

  private onCreditFrame(id: number, payload: Buffer): void {
    const bytes = readCredit(payload);
    if (bytes === undefined) return this.violation('malformed credit');
    const stream = this.streams.get(id);
    if (stream === undefined) this.onStrayFrame(id, 0);
    else stream.onCredit(bytes);
  }

  private onResetFrame(id: number, payload: Buffer): void {
    const reset = readReset(payload);
    if (reset === undefined) return this.violation('malformed reset');
    const stream = this.streams.get(id);
    if (stream === undefined) this.onStrayFrame(id, 0);
    else stream.onReset(reset.code, reset.detail);
  }

  // ── Time and the end ──

  private onTick(pingCounter: number | undefined): void {
    this.controlFrames = 0;
    this.controlBytes = 0;
    if (pingCounter === undefined) return;
    this.outbox.pushControl(encodePing({ type: 'ping', counter: pingCounter }));
  }

  private finish(reason: LinkCloseReason, detail: string, by: ClosedBy): void {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    this.liveness.stop();
    this.outbox.stop();
    if (by === 'us') {
      this.transport.close(closeCodes[reason], shortened(detail).toString('utf8'));
      const { closeGraceMs } = this.limits;
      this.graceTimer = this.clock.setTimer(closeGraceMs, () => this.transport.terminate());
    } else this.transport.terminate();
    this.tellClosed(reason, detail, by);
    const orphans = this.streams.values();
    for (const stream of orphans) stream.onLinkClosed(reason);
    this.streams.clear();
  }
}
