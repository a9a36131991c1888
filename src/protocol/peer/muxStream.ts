/**
 * What a stream does at either end: queue and send within the peer's credit, receive within the
 * credit that it gave. `routerStream.ts` and `agentStream.ts` add what differs: who may say what
 * when.
 *
 * Invariants
 * U1 `sendCredit` ≥ 0, and all that was ever sent ≤ the window + all CREDIT received.
 * U2 The peer may have at most the window under way: more is an overrun and ends the link.
 * U3 A chunk is given on as a view into its message only while nothing of this stream waits. A slow
 *    reader gets copies, so that one byte never keeps a whole message of other streams in memory.
 */
import {
  encodeCredit,
  frameFlag,
  frameHeaderBytes,
  frameType,
  writeHeader,
} from '../wire/frame.ts';
import type { LinkLimits } from '../limits.ts';
import type { LinkCloseReason, StreamHandlers } from '../link.ts';
import type { Outbox } from './outbox.ts';

/** What a stream needs of its link. */
export interface StreamOwner {
  readonly limits: LinkLimits;
  readonly outbox: Outbox;
  /** The stream has ended in both directions: forget it. */
  onStreamClosed(stream: MuxStream): void;
  /** The peer broke the protocol: the link closes. */
  violation(detail: string, reason?: LinkCloseReason): void;
}

export abstract class MuxStream {
  readonly id: number;
  /** Bytes that wait to be sent. */
  pendingBytes = 0;
  /** Bytes that the peer lets us send (U1). */
  sendCredit: number;
  /** In the outbox's round: owned by the outbox. */
  inRound = false;
  /** `write` returned false and `onWritable` was not called yet. */
  waitsForRoom = false;
  /** Bytes that the peer may still send (U2). */
  receiveCredit: number;
  protected readonly owner: StreamOwner;
  protected handlers: StreamHandlers | undefined;
  private readonly sendWindow: number;
  private readonly receiveWindow: number;
  private chunks: Buffer[] = [];
  private firstChunk = 0;
  private firstChunkOffset = 0;
  /** Received and given on, not yet reported by `consumed`. */
  private unconsumedBytes = 0;
  /** Consumed and not yet given back as credit. */
  private unreturnedBytes = 0;

  constructor(options: {
    id: number;
    owner: StreamOwner;
    sendWindow: number;
    receiveWindow: number;
  }) {
    this.id = options.id;
    this.owner = options.owner;
    this.sendWindow = options.sendWindow;
    this.receiveWindow = options.receiveWindow;
    this.sendCredit = options.sendWindow;
    this.receiveCredit = options.receiveWindow;
  }

  /**
   * Length of the frame, header included, that comes after all data; 0 when there is none (now).
   */
  protected abstract lastFrameBytes(): number;
  protected abstract writeLastFrame(target: Buffer, offset: number): void;
  /** Whether the DATA frame that takes the last pending byte says that it is the last. */
  protected abstract dataFlags(isLastByte: boolean): number;
  abstract onCredit(bytes: number): void;
  abstract onData(view: Buffer, flags: number): void;
  abstract onReset(code: Parameters<StreamHandlers['onReset']>[0], detail: string): void;
  /** The link has died. Called once, after the link's own handler was told. */
  abstract onLinkClosed(detail: string): void;

  // ── Sending: the outbox asks, in this order ──

  /** Size of the next frame that may be sent now, header included; 0 when there is none. */
  nextFrameBytes(): number {
    if (this.pendingBytes === 0) return this.lastFrameBytes();
    return this.sendCredit === 0 ? 0 : frameHeaderBytes + this.nextDataBytes();
  }

  /** Writes the frame whose size `nextFrameBytes` has just given. */
  writeFrame(target: Buffer, offset: number): void {
    if (this.pendingBytes === 0) return this.writeLastFrame(target, offset);
    const length = this.nextDataBytes();
    const flags = this.dataFlags(length === this.pendingBytes);
    writeHeader(target, offset, { type: frameType.data, flags, stream: this.id, length });
    this.sendCredit -= length;
    this.take({ target, offset: offset + frameHeaderBytes, length });
  }

  /** Room that everything would take that may be sent now, headers included. */
  sendableBytes(): number {
    const data = Math.min(this.pendingBytes, this.sendCredit);
    const frames = Math.ceil(data / this.owner.limits.maxFramePayloadBytes);
    const last = data === this.pendingBytes ? this.lastFrameBytes() : 0;
    return data + frames * frameHeaderBytes + last;
  }

  /** Whether a writer may go on. */
  hasRoom(): boolean {
    const { streamLowWaterBytes } = this.owner.limits;
    return this.pendingBytes <= Math.min(this.sendCredit, streamLowWaterBytes);
  }

  /** Calls a writer that waits, once. */
  relieve(): void {
    if (!this.waitsForRoom || !this.hasRoom()) return;
    this.waitsForRoom = false;
    this.handlers?.onWritable?.();
  }

  /** Queues bytes. Whether the writer may go on. */
  protected queue(chunk: Buffer): boolean {
    if (chunk.length === 0) return !this.waitsForRoom;
    this.chunks.push(chunk);
    this.pendingBytes += chunk.length;
    if (this.sendCredit > 0) this.owner.outbox.pushStream(this);
    if (!this.hasRoom()) this.waitsForRoom = true;
    return !this.waitsForRoom;
  }

  protected dropPending(): void {
    this.chunks = [];
    this.firstChunk = 0;
    this.firstChunkOffset = 0;
    this.pendingBytes = 0;
    this.waitsForRoom = false;
  }

  /** Adds the peer's credit. */
  protected addCredit(bytes: number): void {
    this.sendCredit += bytes;
    if (this.sendCredit > this.sendWindow) {
      this.owner.violation('credit beyond the window');
    } else if (this.pendingBytes > 0) this.owner.outbox.pushStream(this);
  }

  private nextDataBytes(): number {
    const most = Math.min(this.sendCredit, this.owner.limits.maxFramePayloadBytes);
    return Math.min(this.pendingBytes, most);
  }

  /** Moves `length` pending bytes into the message. */
  private take(to: { target: Buffer; offset: number; length: number }): void {
    let { offset, length } = to;
    this.pendingBytes -= length;
    while (length > 0) {
      const chunk = this.chunks[this.firstChunk] as Buffer;
      const from = this.firstChunkOffset;
      const count = Math.min(length, chunk.length - from);
      chunk.copy(to.target, offset, from, from + count);
      offset += count;
      length -= count;
      if (from + count < chunk.length) this.firstChunkOffset = from + count;
      else this.dropFirstChunk();
    }
  }

  private dropFirstChunk(): void {
    this.firstChunkOffset = 0;
    this.firstChunk += 1;
    // Half is spent: cutting it off costs as much as the takes that led here.
    if (this.firstChunk * 2 < this.chunks.length) return;
    if (this.firstChunk === this.chunks.length) this.chunks.length = 0;
    else this.chunks.splice(0, this.firstChunk);
    this.firstChunk = 0;
  }

  // ── Receiving ──

  /** Takes DATA off the peer's credit. False when it had none left: the link is closing (U2). */
  protected accept(bytes: number): boolean {
    this.receiveCredit -= bytes;
    if (this.receiveCredit >= 0) return true;
    this.owner.violation(`stream ${this.id} overran its credit`, 'credit_overrun');
    return false;
  }

  /** Gives received bytes on (U3). */
  protected deliver(view: Buffer): void {
    const chunk = this.unconsumedBytes === 0 ? view : Buffer.from(view);
    this.unconsumedBytes += view.length;
    this.handlers?.onData(chunk);
  }

  /** See `LinkStream.consumed`. Credit goes back when half a window has gathered. */
  protected giveBack(bytes: number): void {
    const counted = Math.min(bytes, this.unconsumedBytes);
    this.unconsumedBytes -= counted;
    this.unreturnedBytes += counted;
    if (this.unreturnedBytes * 2 < this.receiveWindow) return;
    this.receiveCredit += this.unreturnedBytes;
    this.owner.outbox.pushControl(encodeCredit({ stream: this.id, bytes: this.unreturnedBytes }));
    this.unreturnedBytes = 0;
  }
}

/** Flags of a DATA frame that is the last of a request body. */
export const finFlag = frameFlag.fin;
