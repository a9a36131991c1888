/**
 * A request's stream at the router: sends the body, receives the answer.
 *
 *     open ──END──▶ closed            open ──RESET──▶ closed
 *     open ──own reset──▶ resetting ──END or RESET──▶ closed
 *     unopened ──▶ closed (the link was closed or full: the peer never hears of it)
 *
 * The link's death closes it from everywhere. `resetting` holds the slot (L5): the engine may still
 * run, and what the agent had under way still comes, is counted and dropped.
 */
import { frameHeaderBytes, frameType, writeHeader } from '../wire/frame.ts';
import type { LinkStream, ResetCode, StreamHandlers } from '../link.ts';
import type { EndMessage } from '../messages/end.ts';
import type { HeadMessage } from '../messages/head.ts';
import { finFlag, MuxStream, type StreamOwner } from './muxStream.ts';
import { encodeReset } from '../wire/resetCode.ts';

export class RouterStream extends MuxStream implements LinkStream {
  readonly requestId: string;
  private phase: 'unopened' | 'open' | 'resetting' | 'closed';
  private body: 'open' | 'ending' | 'sent' = 'open';
  private answer: 'awaited' | 'begun' = 'awaited';

  constructor(options: {
    id: number;
    owner: StreamOwner;
    requestId: string;
    handlers: StreamHandlers;
    phase: 'unopened' | 'open';
  }) {
    const { limits } = options.owner;
    super({
      id: options.id,
      owner: options.owner,
      sendWindow: limits.creditTowardsAgentBytes,
      receiveWindow: limits.creditTowardsRouterBytes,
    });
    this.requestId = options.requestId;
    this.handlers = options.handlers;
    this.phase = options.phase;
  }

  get bodyIsSent(): boolean {
    return this.body === 'sent';
  }

  get hasBegun(): boolean {
    return this.answer === 'begun';
  }

  /** Tells why this stream was never opened, unless its opener has given up meanwhile. */
  refuse(code: ResetCode, detail: string): void {
    if (this.phase !== 'unopened') return;
    this.phase = 'closed';
    this.handlers?.onReset(code, detail);
  }

  head(): void {
    throw new Error('only the agent sends a head');
  }

  write(chunk: Buffer): boolean {
    if (this.phase !== 'open') return true;
    if (this.body !== 'open') throw new Error('write after the end of the body');
    if (this.pendingBytes > this.owner.limits.maxQueuedAtRouterBytes) {
      throw new RangeError('the body is over the bound of the link');
    }
    return this.queue(chunk);
  }

  end(): void {
    if (this.phase !== 'open' || this.body !== 'open') return;
    this.body = 'ending';
    if (this.nextFrameBytes() > 0) this.owner.outbox.pushStream(this);
  }

  reset(code: ResetCode, detail = ''): void {
    if (this.phase === 'unopened') {
      this.phase = 'closed';
      queueMicrotask(() => this.handlers?.onConfirmed?.({}));
    }
    if (this.phase !== 'open') return;
    this.phase = 'resetting';
    this.dropPending();
    this.owner.outbox.pushControl(encodeReset({ stream: this.id, code, detail }));
  }

  consumed(bytes: number): void {
    if (this.phase === 'open') this.giveBack(bytes);
  }

  onHead(head: HeadMessage): void {
    if (this.answer !== 'awaited') return this.owner.violation('second HEAD');
    this.answer = 'begun';
    if (this.phase === 'open') this.handlers?.onHead?.(head);
  }

  override onData(view: Buffer, flags: number): void {
    if (this.answer !== 'begun') return this.owner.violation('DATA before HEAD');
    if (flags !== 0 || view.length === 0) return this.owner.violation('empty or flagged DATA');
    if (this.accept(view.length) && this.phase === 'open') this.deliver(view);
  }

  onEnd(end: EndMessage): void {
    if (end.requestId !== this.requestId) return this.owner.violation('END of another request');
    if (this.phase === 'open' && this.answer === 'awaited') {
      return this.owner.violation('END before HEAD');
    }
    const was = this.close();
    if (was === 'resetting') this.handlers?.onConfirmed?.({ end });
    else this.handlers?.onEnd(end);
  }

  override onReset(code: ResetCode, detail: string): void {
    const was = this.close();
    if (was === 'resetting') this.handlers?.onConfirmed?.({ code });
    else this.handlers?.onReset(code, detail);
  }

  override onCredit(bytes: number): void {
    if (this.phase === 'open') this.addCredit(bytes);
  }

  override onLinkClosed(detail: string): void {
    this.onReset('link_closed', detail);
  }

  private close(): 'unopened' | 'open' | 'resetting' | 'closed' {
    const was = this.phase;
    this.phase = 'closed';
    this.dropPending();
    this.owner.onStreamClosed(this);
    return was;
  }

  protected override dataFlags(isLastByte: boolean): number {
    if (!isLastByte || this.body !== 'ending') return 0;
    this.body = 'sent';
    return finFlag;
  }

  /** An empty body, or one whose end was said after its last byte had gone. */
  protected override lastFrameBytes(): number {
    return this.body === 'ending' && this.phase === 'open' ? frameHeaderBytes : 0;
  }

  protected override writeLastFrame(target: Buffer, offset: number): void {
    this.body = 'sent';
    const header = { type: frameType.data, flags: finFlag, stream: this.id, length: 0 };
    writeHeader(target, offset, header);
  }
}
