/**
 * The two ends of an agent link, as the router and the agent see them.
 *
 * A link carries control messages and many request streams over one transport. The router opens
 * streams, the agent answers them. Both ends are a `LinkPeer` over a `Transport`; `mux.ts` holds
 * the implementation, `docs/internals/link.md` the wire format.
 *
 * Invariants
 * L1 A stream ends exactly once at each end. At the router: `onEnd`, `onReset`, or its own reset
 *    with `onConfirmed`, and nothing after. At the agent: its own `end` or `reset`, or an
 *    `onReset`; there `onEnd` says only that the body is complete.
 * L2 The reader never blocks: a stream that is not consumed stalls only its own sender (credits).
 * L3 A peer that breaks the protocol closes its own link with a reason and harms no other link.
 * L4 Everything a peer can make us hold is bounded (`limits.ts`).
 * L5 A stream that the router reset stays open at both ends until the agent confirms that its
 *    engine's side is closed; only then is the slot free.
 */
import type { AgentControl } from './messages/agentControl.ts';
import type { EndMessage } from './messages/end.ts';
import type { HeadMessage } from './messages/head.ts';
import type { OpenMessage } from './messages/open.ts';
import type { RouterControl } from './messages/routerControl.ts';

/** Why a link was closed; also a metric label and a log field. */
export type LinkCloseReason =
  | 'closed_by_peer'
  | 'transport_error'
  | 'silent'
  | 'protocol_error'
  | 'credit_overrun'
  | 'too_many_streams'
  | 'unauthorized'
  | 'suspended'
  | 'replaced'
  | 'fenced'
  | 'token_expired'
  | 'going_away'
  | 'version_unsupported'
  | 'too_slow'
  | 'shutting_down';

/** Why a stream was reset; RESET carries it. */
export type ResetCode =
  | 'cancelled'
  | 'engine_failed'
  | 'engine_unreachable'
  | 'not_granted'
  | 'unknown_instance'
  | 'refused'
  | 'too_slow'
  | 'idle'
  | 'body_too_large'
  | 'internal'
  | 'link_closed';

/** A message pipe: WebSocket in the product, memory in tests. One message holds many frames. */
export interface Transport {
  /**
   * Sends one message. The caller neither changes nor reads it afterwards: its memory may be given
   * back as soon as the network has it.
   */
  send(message: Buffer): void;
  /**
   * Bytes accepted by `send` that the network has not taken yet. `onDrain` follows when they fall.
   */
  bufferedBytes(): number;
  /** Closes after what was sent. Idempotent. */
  close(code: number, reason: string): void;
  /** Cuts the connection at once. Idempotent. */
  terminate(): void;
  /** Set once by the peer before any event is delivered. */
  handlers: TransportHandlers | undefined;
}

export interface TransportHandlers {
  onMessage(message: Buffer): void;
  onClose(code: number, reason: string): void;
  /** The connection broke. `onClose` may follow; it is ignored then. */
  onError(error: Error): void;
  /** The peer broke the transport's own rules: a text message, one over the size limit. */
  onViolation(detail: string): void;
  /** What `send` accepted has been taken by the network, or most of it: more may be sent. */
  onDrain(): void;
}

/** How a stream ended that this end had reset. */
export interface Confirmation {
  end?: EndMessage | undefined;
  code?: ResetCode | undefined;
}

/**
 * What an end of a stream is told. Every callback runs inside the reader's turn: return quickly.
 */
export interface StreamHandlers {
  /** Router side only: status and content type of the answer. At most once, before any data. */
  onHead?(head: HeadMessage): void;
  /** Bytes in order. The receiver calls `consumed` when it has passed them on. */
  onData(chunk: Buffer): void;
  /**
   * Agent side: the request body is complete. Router side: the answer is complete, with trailers.
   */
  onEnd(end: EndMessage | undefined): void;
  /** The other side (or the link's death) ended the stream early. */
  onReset(code: ResetCode, detail: string): void;
  /** `write` returned false before and there is room again. */
  onWritable?(): void;
  /**
   * Router side, after this end's own `reset` (so after neither `onEnd` nor `onReset`): the
   * engine's side is closed and the slot is free. By its trailers when the agent sent them, or by
   * the code with which it reset the stream, `link_closed` when the link died; neither: the stream
   * was never opened. Exactly once per own reset.
   */
  onConfirmed?(by: Confirmation): void;
}

export interface LinkStream {
  readonly id: number;
  /** Bytes that were written and wait to be sent. */
  readonly pendingBytes: number;
  /** Router side only: the end of the body has been given to the transport. */
  readonly bodyIsSent?: boolean;
  /** Router side only: HEAD has come, though it may not have been told after an own reset. */
  readonly hasBegun?: boolean;
  /** Agent side only: the answer's status and content type. */
  head(head: HeadMessage): void;
  /**
   * Sends or queues bytes. Returns false when the peer's credit is used up: the chunk is kept
   * (bounded), and the caller waits for `onWritable` before it writes more.
   */
  write(chunk: Buffer): boolean;
  /**
   * Router: the request body is complete (no argument). Agent: the answer is complete; the trailers
   * follow the last byte. After an `onReset` from the router the agent calls `end` (or `reset`)
   * once its engine's side is closed: that is the confirmation, and the stream counts as open until
   * then.
   */
  end(end?: EndMessage): void;
  /**
   * Ends the stream early and tells the other side; no `onEnd` or `onReset` follows at this end.
   * What is queued is dropped. Idempotent, safe after the end.
   */
  reset(code: ResetCode, detail?: string): void;
  /** Gives `bytes` of credit back to the sender, once they have been passed on. */
  consumed(bytes: number): void;
}

/** Common to both ends. */
interface PeerBase {
  /** Smoothed round-trip time of PING, in ms; undefined until the first PONG. */
  rttMs(): number | undefined;
  /** Monotonic time of the last frame received, in ms. */
  lastFrameAtMs(): number;
  /** Streams that are open now, those included that wait for the confirmation of a reset. */
  openStreams(): number;
  /** Closes the link with a reason, resets every stream. Idempotent. */
  close(reason: LinkCloseReason, detail?: string): void;
}

/** Which end decided that the link closes. */
export type ClosedBy = 'us' | 'peer';

/** The router's end. */
export interface RouterPeer extends PeerBase {
  /**
   * Begins a request. Never throws for what a peer can cause: on a closed link, or with the most
   * streams open, the handlers are told `link_closed` or `refused` in a microtask.
   */
  open(message: OpenMessage, handlers: StreamHandlers): LinkStream;
  /** WELCOME, CONFIG, GOAWAY, ACK. */
  send(message: RouterControl): void;
}

export interface RouterPeerHandlers {
  /** HELLO (first), GRANT, HEARTBEAT, TOKEN, LOG, GOAWAY and END trailers of an earlier link. */
  onControl(message: AgentControl): void;
  /**
   * The link is gone: exactly once, and before the streams' `onReset('link_closed')`, so that
   * nothing is tried again on this link. The peer's reason comes through when it gave one.
   */
  onClose(reason: LinkCloseReason, detail: string, by: ClosedBy): void;
}

/** The agent's end. */
export interface AgentPeer extends PeerBase {
  /**
   * Whether the network is behind with what was sent: what can wait (LOG) should, since control
   * messages go before all streams.
   */
  congested(): boolean;
  /** HELLO, GRANT, HEARTBEAT, TOKEN, LOG, GOAWAY, repeated trailers. */
  send(message: AgentControl): void;
}

export interface AgentPeerHandlers {
  /** CHALLENGE (first), WELCOME, CONFIG, GOAWAY, ACK. */
  onControl(message: RouterControl): void;
  /** A request arrives. Returns the handlers of its stream; call `stream.reset` to refuse it. */
  onOpen(message: OpenMessage, stream: LinkStream): StreamHandlers;
  /** As on the router's side. */
  onClose(reason: LinkCloseReason, detail: string, by: ClosedBy): void;
}
