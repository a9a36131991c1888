/**
 * A request's stream at the agent: receives the body, sends the answer.
 *
 *     open ──end()──▶ ending ──END sent──▶ closed        open, ending ──reset()──▶ closed
 *     open ──RESET──▶ cancelled ──end() or reset()──▶ closed
 *
 * The link's death closes it from everywhere. `cancelled` means that the router wants no more and
 * waits to hear that the engine's side is closed (L5).
 */
import { frameFlag } from '../wire/frame.ts';
import { encodeStreamMessage } from '../wire/controlCodec.ts';
import type { LinkStream, ResetCode, StreamHandlers } from '../link.ts';
import type { EndMessage } from '../messages/end.ts';
import type { HeadMessage } from '../messages/head.ts';
import { MuxStream, type StreamOwner } from './muxStream.ts';
import { encodeReset } from '../wire/resetCode.ts';

export class AgentStream extends MuxStream implements LinkStream {
  private phase: 'open' | 'ending' | 'cancelled' | 'closed' = 'open';
  private body: 'arriving' | 'complete' = 'arriving';
  private answer: 'awaited' | 'begun' = 'awaited';
  /**
   * Given up as soon as it is sent. A stream has lived long when it ends: its remains would hold
   * the frame until the next full collection, and with it its slab of 64 KiB.
   */
  private endFrame: Buffer | undefined;

  constructor(options: { id: number; owner: StreamOwner }) {
    const { limits } = options.owner;
    super({
      ...options,
      sendWindow: limits.creditTowardsRouterBytes,
      receiveWindow: limits.creditTowardsAgentBytes,
    });
  }

  /** The agent's answer to OPEN: who hears of this stream. */
  attach(handlers: StreamHandlers): void {
    this.handlers = handlers;
  }

  /** Bytes of body that the router may still have under way. */
  get bodyCredit(): number {
    return this.body === 'complete' ? 0 : this.receiveCredit;
  }

  head(message: HeadMessage): void {
    if (this.phase !== 'open') return;
    if (this.answer !== 'awaited') throw new Error('second head');
    this.answer = 'begun';
    this.owner.outbox.pushControl(encodeStreamMessage({ type: 'head', stream: this.id, message }));
  }

  write(chunk: Buffer): boolean {
    if (this.phase === 'cancelled' || this.phase === 'closed') return true;
    if (this.phase !== 'open') throw new Error('write after the end of the answer');
    if (this.answer !== 'begun') throw new Error('write before the head');
    if (this.pendingBytes <= this.owner.limits.maxQueuedAtAgentBytes) return this.queue(chunk);
    this.reset('too_slow', 'written on against back-pressure');
    this.handlers?.onReset('too_slow', 'written on against back-pressure');
    return true;
  }

  end(message?: EndMessage): void {
    if (message === undefined) throw new Error('an answer ends with trailers');
    if (this.phase !== 'open' && this.phase !== 'cancelled') return;
    if (this.phase === 'open' && this.answer === 'awaited') throw new Error('end before the head');
    this.endFrame = encodeStreamMessage({ type: 'end', stream: this.id, message });
    if (this.phase === 'cancelled') return this.confirm(this.endFrame);
    this.phase = 'ending';
    if (this.nextFrameBytes() > 0) this.owner.outbox.pushStream(this);
  }

  reset(code: ResetCode, detail = ''): void {
    if (this.phase !== 'closed') this.confirm(encodeReset({ stream: this.id, code, detail }));
  }

  consumed(bytes: number): void {
    if (this.phase === 'open' && this.body === 'arriving') this.giveBack(bytes);
  }

  override onData(view: Buffer, flags: number): void {
    const fin = flags === frameFlag.fin;
    if (this.body === 'complete') return this.owner.violation('DATA after the end of the body');
    if (!fin && (flags !== 0 || view.length === 0)) {
      return this.owner.violation('empty or flagged DATA');
    }
    if (!this.accept(view.length)) return;
    if (fin) this.body = 'complete';
    if (this.phase === 'open' && view.length > 0) this.deliver(view);
    // The handler of the last bytes may have reset the stream.
    if (fin && this.isOpen()) this.handlers?.onEnd(undefined);
  }

  override onReset(code: ResetCode, detail: string): void {
    if (this.phase === 'cancelled') return this.owner.violation('second RESET');
    this.dropPending();
    // The engine's side is closed already: the trailers that wait are the confirmation.
    if (this.endFrame !== undefined) return this.confirm(this.endFrame);
    this.phase = 'cancelled';
    this.handlers?.onReset(code, detail);
  }

  override onCredit(bytes: number): void {
    if (this.phase === 'open' || this.phase === 'ending') this.addCredit(bytes);
  }

  override onLinkClosed(detail: string): void {
    const was = this.phase;
    this.phase = 'closed';
    this.dropPending();
    // Who has ended the stream, or was told that it is over, is not told again (L1).
    if (was === 'open') this.handlers?.onReset('link_closed', detail);
  }

  private isOpen(): boolean {
    return this.phase === 'open';
  }

  /** The last frame of a stream whose pending bytes nobody wants any more. */
  private confirm(frame: Buffer): void {
    this.phase = 'closed';
    this.endFrame = undefined;
    this.dropPending();
    this.owner.outbox.pushControl(frame);
    this.owner.onStreamClosed(this);
  }

  protected override dataFlags(): number {
    return 0;
  }

  protected override lastFrameBytes(): number {
    return this.phase === 'ending' ? (this.endFrame?.length ?? 0) : 0;
  }

  protected override writeLastFrame(target: Buffer, offset: number): void {
    this.endFrame?.copy(target, offset);
    this.endFrame = undefined;
    this.phase = 'closed';
    this.owner.onStreamClosed(this);
  }
}
