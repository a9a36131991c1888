/**
 * What a link sends: control frames, then the streams in turn. Everything that one turn of the
 * event loop produces goes out at its end, many frames to a message, without a timer.
 *
 * Invariants
 * O1 Control frames go first, in their order; streams follow in turn, one frame each.
 * O2 A stream never sends more than its credit, and its bytes go in their order.
 * O3 A transport that holds `transportHighWaterBytes` gets no further message until it has drained.
 * O4 A frame never stands in two messages.
 */
import type { LinkLimits } from '../limits.ts';
import type { Transport } from '../link.ts';
import type { MuxStream } from './muxStream.ts';

export class Outbox {
  private readonly transport: Transport;
  private readonly limits: LinkLimits;
  private readonly onOverflow: () => void;
  private control: Buffer[] = [];
  private controlBytes = 0;
  /** Streams with something that may be sent; those of this round from `at` on, then the next. */
  private round: MuxStream[] = [];
  private nextRound: MuxStream[] = [];
  private at = 0;
  private scheduled: 'no' | 'turn' | 'drain' | 'stopped' = 'no';
  /** Streams whose writers wait and may go on. */
  private relieved: MuxStream[] = [];
  private readonly flushAtEndOfTurn = (): void => {
    if (this.scheduled !== 'turn') return;
    this.scheduled = 'no';
    this.flush();
  };

  constructor(options: { transport: Transport; limits: LinkLimits; onOverflow: () => void }) {
    this.transport = options.transport;
    this.limits = options.limits;
    this.onOverflow = options.onOverflow;
  }

  /** Whether the transport still holds much of what it was given. */
  get congested(): boolean {
    const { congestedAboveBytes } = this.limits;
    return this.scheduled === 'drain' || this.transport.bufferedBytes() > congestedAboveBytes;
  }

  /** Queues one frame that goes before all stream data. */
  pushControl(frame: Buffer): void {
    if (this.scheduled === 'stopped') return;
    this.control.push(frame);
    this.controlBytes += frame.length;
    if (this.controlBytes > this.limits.maxQueuedControlBytes) this.onOverflow();
    this.schedule();
  }

  /** The stream has something that may be sent. It is in at most one round (`inRound`). */
  pushStream(stream: MuxStream): void {
    if (stream.inRound || this.scheduled === 'stopped') return;
    stream.inRound = true;
    this.nextRound.push(stream);
    this.schedule();
  }

  /** The transport can take more. */
  onDrain(): void {
    if (this.scheduled !== 'drain') return;
    this.scheduled = 'no';
    this.flush();
  }

  /** Sends what control frames are queued, then nothing ever again. */
  stop(): void {
    if (this.scheduled === 'stopped') return;
    this.scheduled = 'stopped';
    this.round = [];
    this.nextRound = [];
    this.at = 0;
    this.relieved = [];
    const { transportHighWaterBytes } = this.limits;
    while (this.control.length > 0 && this.transport.bufferedBytes() < transportHighWaterBytes) {
      this.transport.send(this.compose());
    }
    this.control = [];
  }

  private schedule(): void {
    if (this.scheduled !== 'no') return;
    this.scheduled = 'turn';
    setImmediate(this.flushAtEndOfTurn);
  }

  private flush(): void {
    while (this.hasWork()) {
      if (this.transport.bufferedBytes() >= this.limits.transportHighWaterBytes) {
        this.scheduled = 'drain'; // O3
        break;
      }
      const message = this.compose();
      if (message.length > 0) this.transport.send(message);
      // A transport may report its end from inside of `send`.
      if ((this.scheduled as string) === 'stopped') return;
    }
    this.relieve();
  }

  private hasWork(): boolean {
    return this.control.length > 0 || this.at < this.round.length || this.nextRound.length > 0;
  }

  /**
   * One message, as full as what is queued makes it; empty when all of it was dropped meanwhile.
   */
  private compose(): Buffer {
    const target = Buffer.allocUnsafe(this.messageSize());
    let offset = this.composeControl(target);
    for (let stream = this.nextStream(); stream !== undefined; stream = this.nextStream()) {
      const length = stream.nextFrameBytes();
      if (length > target.length - offset) break; // O4
      if (length > 0) stream.writeFrame(target, offset);
      offset += length;
      this.at += 1;
      if (stream.nextFrameBytes() > 0) this.nextRound.push(stream);
      else stream.inRound = false;
      if (stream.waitsForRoom && stream.hasRoom()) this.relieved.push(stream);
    }
    return offset === target.length ? target : target.subarray(0, offset);
  }

  /** Room for everything that could go, at most one full message, at least one frame of it. */
  private messageSize(): number {
    const most = this.limits.sendMessageBytes;
    let size = this.controlBytes;
    for (let n = this.at; n < this.round.length && size < most; n += 1) {
      size += this.round[n]?.sendableBytes() ?? 0;
    }
    for (let n = 0; n < this.nextRound.length && size < most; n += 1) {
      size += this.nextRound[n]?.sendableBytes() ?? 0;
    }
    return Math.min(size, most);
  }

  private composeControl(target: Buffer): number {
    let offset = 0;
    let taken = 0;
    for (const frame of this.control) {
      if (offset + frame.length > target.length) break;
      frame.copy(target, offset);
      offset += frame.length;
      taken += 1;
    }
    this.controlBytes -= offset;
    if (taken === this.control.length) this.control.length = 0;
    else this.control.splice(0, taken);
    return offset;
  }

  private nextStream(): MuxStream | undefined {
    if (this.control.length > 0) return undefined; // O1: the rest of control goes first.
    if (this.at === this.round.length) {
      const spent = this.round;
      spent.length = 0;
      this.round = this.nextRound;
      this.nextRound = spent;
      this.at = 0;
    }
    return this.round[this.at];
  }

  /** Tells waiting writers after everything was handed over: they may write at once. */
  private relieve(): void {
    if (this.relieved.length === 0) return;
    const relieved = this.relieved;
    this.relieved = [];
    for (const stream of relieved) stream.relieve();
  }
}
