/**
 * One real end of a link whose other end is the test itself, byte by byte: for hostile peers. What
 * the real end is told is recorded; what it sends is captured as frames.
 */
import type { Clock } from '../../lib/clock.ts';
import type { LinkLimits } from '../../protocol/limits.ts';
import type { AgentPeer, RouterPeer, Transport, TransportHandlers } from '../../protocol/link.ts';
import type { AgentControl } from '../../protocol/messages/agentControl.ts';
import type { RouterControl } from '../../protocol/messages/routerControl.ts';
import { createAgentPeer, createRouterPeer } from '../../protocol/mux.ts';
import { encodeControl, encodeStreamMessage } from '../../protocol/wire/controlCodec.ts';
import { decodeFrames, encodeFrame, frameType, type Frame } from '../../protocol/wire/frame.ts';
import { FakeClock } from '../fakeClock.ts';
import { Answer, Request, challenge, endOf, helloOf, openOf, welcome } from './linkPair.ts';
import type { Closed } from './linkPair.ts';

/** A transport whose network is an array. */
export class CapturedTransport implements Transport {
  handlers: TransportHandlers | undefined;
  sent: Buffer[] = [];
  closes: { code: number; reason: string }[] = [];
  terminated = 0;
  /** What `bufferedBytes` says: raise it to be a peer that does not read. */
  unread = 0;

  send(message: Buffer): void {
    this.sent.push(message);
  }

  bufferedBytes(): number {
    return this.unread;
  }

  close(code: number, reason: string): void {
    this.closes.push({ code, reason });
  }

  terminate(): void {
    this.terminated += 1;
  }

  /** Everything sent so far, as frames; throws when it is not a row of frames. */
  frames(): Frame[] {
    return this.sent.flatMap((message) => {
      const frames = decodeFrames(message);
      if (typeof frames === 'string') throw new Error(`sent a bad message: ${frames}`);
      return frames;
    });
  }
}

interface RawBase {
  transport: CapturedTransport;
  clock: Clock;
  closed: Closed[];
  /** Delivers frames as one message, at once. */
  deliver(...frames: Buffer[]): void;
}

export interface RawAgainstRouter extends RawBase {
  peer: RouterPeer;
  control: AgentControl[];
  /** Opens a request at the router; ids count from 1. */
  open(answer?: Answer): Answer;
}

export interface RawAgainstAgent extends RawBase {
  peer: AgentPeer;
  control: RouterControl[];
  requests: Request[];
}

interface RawOptions {
  clock?: Clock;
  limits?: Partial<LinkLimits>;
  handshake?: boolean;
}

export const frames = {
  of: (type: keyof typeof frameType, stream: number, payload: Buffer | string = '', flags = 0) =>
    encodeFrame({ type: frameType[type], flags, stream, payload: Buffer.from(payload) }),
  control: (message: AgentControl | RouterControl) => Buffer.concat(encodeControl(message)),
  head: (stream: number) =>
    encodeStreamMessage({ type: 'head', stream, message: { status: 200, contentType: 'a/b' } }),
  end: (stream: number, end = endOf()) =>
    encodeStreamMessage({ type: 'end', stream, message: end }),
  open: (stream: number, open = openOf()) =>
    encodeStreamMessage({ type: 'open', stream, message: open }),
};

/** The test plays the agent against a real router's end. */
export function rawAgainstRouter(options: RawOptions = {}): RawAgainstRouter {
  const { clock = new FakeClock(), limits = {} } = options;
  const transport = new CapturedTransport();
  const control: AgentControl[] = [];
  const closed: Closed[] = [];
  const peer = createRouterPeer(transport, {
    clock,
    limits,
    handlers: {
      onControl(message) {
        control.push(message);
        if (message.type === 'hello') peer.send(welcome);
      },
      onClose: (reason, detail, by) => void closed.push({ reason, detail, by }),
    },
  });
  const deliver = (...parts: Buffer[]): void => transport.handlers?.onMessage(Buffer.concat(parts));
  peer.send(challenge);
  if (options.handshake !== false) deliver(frames.control(helloOf()));
  const open = (answer = new Answer()): Answer => {
    answer.stream = peer.open(openOf(), answer);
    return answer;
  };
  return { peer, transport, clock, control, closed, deliver, open };
}

/** The test plays the router against a real agent's end. */
export function rawAgainstAgent(options: RawOptions = {}): RawAgainstAgent {
  const { clock = new FakeClock(), limits = {} } = options;
  const transport = new CapturedTransport();
  const control: RouterControl[] = [];
  const closed: Closed[] = [];
  const requests: Request[] = [];
  const peer = createAgentPeer(transport, {
    clock,
    limits,
    handlers: {
      onControl(message) {
        control.push(message);
        if (message.type === 'challenge') peer.send(helloOf());
      },
      onOpen(message, stream) {
        const request = new Request(message, stream);
        requests.push(request);
        return request;
      },
      onClose: (reason, detail, by) => void closed.push({ reason, detail, by }),
    },
  });
  const deliver = (...parts: Buffer[]): void => transport.handlers?.onMessage(Buffer.concat(parts));
  if (options.handshake !== false) {
    deliver(frames.control(challenge));
    deliver(frames.control(welcome));
  }
  return { peer, transport, clock, control, closed, deliver, requests };
}
