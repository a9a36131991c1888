/**
 * One end of a link's transport with somebody who watches what goes through, and who can take the
 * end away from its process: a dead process neither sends nor hears.
 */
import type { Transport, TransportHandlers } from '../../protocol/link.ts';

export interface TransportWatcher {
  onSent?(message: Buffer): void;
  /** Before the end itself has it. */
  onReceived?(message: Buffer): void;
  /** The end was closed, by whomever; once. Before the end itself hears of it. */
  onClosed?(): void;
}

export class WatchedTransport implements Transport {
  private readonly inner: Transport;
  private readonly watcher: TransportWatcher;
  private owner: TransportHandlers | undefined;
  private state: 'open' | 'closed' | 'dead' = 'open';

  constructor(inner: Transport, watcher: TransportWatcher) {
    this.inner = inner;
    this.watcher = watcher;
    inner.handlers = {
      onMessage: (message) => {
        if (this.state === 'open') watcher.onReceived?.(message);
        if (this.state !== 'dead') this.owner?.onMessage(message);
      },
      onClose: (code, reason) => {
        this.closed();
        if (this.state !== 'dead') this.owner?.onClose(code, reason);
      },
      onError: (error) => {
        this.closed();
        if (this.state !== 'dead') this.owner?.onError(error);
      },
      onViolation: (detail) => {
        if (this.state !== 'dead') this.owner?.onViolation(detail);
      },
      onDrain: () => {
        if (this.state !== 'dead') this.owner?.onDrain();
      },
    };
  }

  get handlers(): TransportHandlers | undefined {
    return this.owner;
  }

  set handlers(owner: TransportHandlers | undefined) {
    this.owner = owner;
  }

  send(message: Buffer): void {
    if (this.state === 'dead') return;
    if (this.state === 'open') this.watcher.onSent?.(message);
    this.inner.send(message);
  }

  bufferedBytes(): number {
    return this.inner.bufferedBytes();
  }

  close(code: number, reason: string): void {
    if (this.state === 'dead') return;
    this.closed();
    this.inner.close(code, reason);
  }

  terminate(): void {
    if (this.state === 'dead') return;
    this.closed();
    this.inner.terminate();
  }

  /** The process of this end is gone: its system resets the connection. */
  die(): void {
    if (this.state === 'dead') return;
    this.closed();
    this.state = 'dead';
    this.inner.terminate();
  }

  /** The end believes that its connection broke; the other end hears nothing of it. */
  loseTouch(): void {
    if (this.state !== 'open') return;
    this.closed();
    this.owner?.onClose(1006, '');
  }

  private closed(): void {
    if (this.state !== 'open') return;
    this.state = 'closed';
    this.watcher.onClosed?.();
  }
}
