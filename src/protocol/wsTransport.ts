/**
 * A link's transport over a WebSocket of the `ws` library.
 *
 * The library sets TCP_NODELAY on every socket itself. Compression is off: the payload is small and
 * already in memory twice, and `permessage-deflate` holds hundreds of KiB for each connection.
 * Masks are all zero: masking protects plain-text proxies from scripts in browsers, an agent is
 * neither, and plain `ws://` is used on loopback only; both ends then skip a pass over every byte.
 */
import type { ClientOptions, RawData, ServerOptions, WebSocket } from 'ws';
import { freeBytes } from '../lib/memory/freeBytes.ts';
import { linkLimits } from './limits.ts';
import type { Transport, TransportHandlers } from './link.ts';

/** The WebSocket subprotocol of link protocol version 1. */
export const linkSubprotocol = 'xim.link.1';

/**
 * What one WebSocket may make the library hold; it answers pings without looking at what is unsent.
 */
const bounds = {
  maxPayload: linkLimits.maxMessageBytes,
  maxFragments: 1024,
  maxBufferedChunks: 16_384,
  autoPong: false,
} as const;

/** For `new WebSocketServer({ ...wsServerOptions, noServer: true })`. */
export const wsServerOptions = {
  perMessageDeflate: false,
  // We send no text and read none: a text message ends the link unread.
  skipUTF8Validation: true,
  ...bounds,
  clientTracking: false,
  handleProtocols: (offered) => (offered.has(linkSubprotocol) ? linkSubprotocol : false),
} as const satisfies ServerOptions;

/** For `new WebSocket(url, linkSubprotocol, { ...wsClientOptions, … })`. */
export const wsClientOptions = {
  perMessageDeflate: false,
  skipUTF8Validation: true,
  ...bounds,
  followRedirects: false,
  generateMask: (mask: Buffer) => {
    mask.fill(0);
  },
} as const satisfies ClientOptions;

/**
 * Whether the unsent bytes are worth being told when they are gone: a quarter of the high water.
 */
const drainNoticeBytes = linkLimits.transportHighWaterBytes / 4;
/** A message from this size on gives its memory back as soon as the system has it. */
const bulkMessageBytes = 32 * 1024;
const sendOptions = { binary: true, compress: false, fin: true };

/**
 * Wraps an open WebSocket; from here on the transport owns its events. Call it, and create the
 * peer, in the turn in which the socket opened: the first message may be right behind.
 */
export function createWsTransport(socket: WebSocket): Transport {
  return new WsTransport(socket);
}

class WsTransport implements Transport {
  handlers: TransportHandlers | undefined;
  private readonly socket: WebSocket;
  private readonly onTaken = (): void => this.handlers?.onDrain();

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data, isBinary) => this.onMessage(data, isBinary));
    socket.on('ping', (data) => this.onPing(data));
    socket.on('close', (code, reason) => this.handlers?.onClose(code, reason.toString('utf8')));
    socket.on('error', (error) => this.onError(error));
  }

  send(message: Buffer): void {
    if (this.socket.readyState !== this.socket.OPEN) return;
    // A callback for each message would be a closure's work on the hot path: only a message that
    // finds much unsent before it asks to hear when it is gone.
    const much = this.socket.bufferedAmount + message.length >= drainNoticeBytes;
    if (message.length < bulkMessageBytes) {
      this.socket.send(message, sendOptions, much ? this.onTaken : undefined);
      return;
    }
    this.socket.send(message, sendOptions, () => {
      freeBytes(message);
      if (much) this.onTaken();
    });
  }

  bufferedBytes(): number {
    return this.socket.bufferedAmount;
  }

  close(code: number, reason: string): void {
    if (this.socket.readyState === this.socket.OPEN) this.socket.close(code, reason);
  }

  terminate(): void {
    this.socket.terminate();
  }

  private onMessage(data: RawData, isBinary: boolean): void {
    if (!isBinary) this.handlers?.onViolation('text message');
    else this.handlers?.onMessage(data as Buffer);
  }

  /** We never send these; a proxy may, to keep the connection. Who does not read gets no more. */
  private onPing(data: Buffer): void {
    if (this.socket.readyState !== this.socket.OPEN) return;
    if (this.socket.bufferedAmount < linkLimits.transportHighWaterBytes) this.socket.pong(data);
  }

  private onError(error: Error & { code?: string }): void {
    // The library's own findings (too long, bad opcode, unmasked, …) all carry this prefix.
    if (error.code?.startsWith('WS_ERR_') === true) {
      this.handlers?.onViolation(error.code.slice('WS_ERR_'.length).toLowerCase());
    } else this.handlers?.onError(error);
  }
}
