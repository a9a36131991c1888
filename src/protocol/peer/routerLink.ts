/**
 * The router's end of a link: it opens streams and gives them ids, rising by one, from 1, around
 * the 32 bits without 0. A frame for a stream that is not open is a violation: the agent has always
 * the last word on a stream, so nothing honest can come after it.
 */
import {
  agentControlReader,
  decodeJson,
  encodeControl,
  encodeStreamMessage,
} from '../wire/controlCodec.ts';
import type { FrameName } from '../wire/frame.ts';
import { maxStreamId } from '../wire/frame.ts';
import { LinkCore, type LinkOptions } from './linkCore.ts';
import type { LinkStream, RouterPeer, RouterPeerHandlers, StreamHandlers } from '../link.ts';
import type { AgentControl } from '../messages/agentControl.ts';
import { endSchema } from '../messages/end.ts';
import { headSchema } from '../messages/head.ts';
import type { OpenMessage } from '../messages/open.ts';
import type { RouterControl } from '../messages/routerControl.ts';
import { RouterStream } from './routerStream.ts';

const afterHandshake: ReadonlySet<FrameName> = new Set([
  'grant',
  'heartbeat',
  'token',
  'log',
  'trailers',
  'goaway',
]);

/** No stream has it on the wire: 0 is the link itself. */
const unopenedId = 0;

export class RouterLink extends LinkCore<AgentControl, RouterStream> implements RouterPeer {
  private readonly handlers: RouterPeerHandlers;
  private lastId = 0;

  constructor(options: LinkOptions & { handlers: RouterPeerHandlers }) {
    super({
      ...options,
      controlReader: agentControlReader(options.limits.maxControlBytes),
      onClose: (reason, detail, by) => options.handlers.onClose(reason, detail, by),
    });
    this.handlers = options.handlers;
  }

  open(message: OpenMessage, handlers: StreamHandlers): LinkStream {
    if (this.phase === 'greeting' || this.phase === 'judging')
      throw new Error('open before WELCOME');
    const stream = this.newStream(message.requestId, handlers);
    if (stream.id === unopenedId) {
      const code = this.phase === 'closed' ? 'link_closed' : 'refused';
      queueMicrotask(() => stream.refuse(code, 'no stream could be opened'));
      return stream;
    }
    this.streams.set(stream.id, stream);
    this.outbox.pushControl(encodeStreamMessage({ type: 'open', stream: stream.id, message }));
    return stream;
  }

  send(message: RouterControl): void {
    if (this.phase === 'closed') return;
    if (message.type === 'challenge' && this.phase !== 'greeting')
      throw new Error('late challenge');
    if (message.type === 'welcome' && this.phase !== 'judging') throw new Error('early welcome');
    if ((message.type === 'config' || message.type === 'ack') && this.phase !== 'open') {
      throw new Error(`${message.type} before WELCOME`);
    }
    for (const frame of encodeControl(message)) this.outbox.pushControl(frame);
    if (message.type !== 'welcome') return;
    this.phase = 'open';
    this.liveness.establish();
  }

  protected override acceptsControl(name: FrameName): boolean {
    if (this.phase === 'greeting') return name === 'hello';
    return this.phase === 'open' && afterHandshake.has(name);
  }

  protected override onControl(message: AgentControl): void {
    if (message.type === 'hello') this.phase = 'judging';
    this.handlers.onControl(message);
  }

  protected override onStreamMessage(name: FrameName, id: number, payload: Buffer): void {
    const stream = this.streams.get(id);
    if (name !== 'head' && name !== 'end') return this.violation(`${name} on a stream`);
    if (stream === undefined) return this.onStrayFrame(id);
    if (name === 'head') {
      const head = decodeJson(headSchema, payload);
      if (head.kind === 'bad') this.violation(`head ${head.detail}`);
      else stream.onHead(head.message);
      return;
    }
    const end = decodeJson(endSchema, payload);
    if (end.kind === 'bad') this.violation(`end ${end.detail}`);
    else stream.onEnd(end.message);
  }

  protected override onStrayFrame(id: number): void {
    this.violation(`frame on stream ${id}, which is not open`);
  }

  private newStream(requestId: string, handlers: StreamHandlers): RouterStream {
    const full = this.streams.size >= this.limits.maxStreams;
    const id = this.phase === 'closed' || full ? unopenedId : this.nextId();
    const phase = id === unopenedId ? 'unopened' : 'open';
    return new RouterStream({ id, owner: this, requestId, handlers, phase });
  }

  private nextId(): number {
    do {
      this.lastId = this.lastId === maxStreamId ? 1 : this.lastId + 1;
    } while (this.streams.has(this.lastId));
    return this.lastId;
  }
}
