/**
 * The agent's end of a link: it answers streams that the router opens.
 *
 * A stream that the agent has finished may still get what the router had under way: the rest of its
 * body, a CREDIT, a RESET. Such strays are dropped, and counted, so that they cannot be a flood:
 * body bytes up to the credit that the finished streams had left, other frames by number.
 */
import { AgentStream } from './agentStream.ts';
import { decodeJson, encodeControl, routerControlReader } from '../wire/controlCodec.ts';
import type { FrameName } from '../wire/frame.ts';
import { LinkCore, type LinkOptions } from './linkCore.ts';
import type { AgentPeer, AgentPeerHandlers } from '../link.ts';
import type { AgentControl } from '../messages/agentControl.ts';
import { openSchema } from '../messages/open.ts';
import type { RouterControl } from '../messages/routerControl.ts';
import type { MuxStream } from './muxStream.ts';

const afterHandshake: ReadonlySet<FrameName> = new Set(['config', 'ack', 'goaway']);

export class AgentLink extends LinkCore<RouterControl, AgentStream> implements AgentPeer {
  private readonly handlers: AgentPeerHandlers;
  private lastId = 0;
  private strayBytes = 0;
  private strayFrames = 0;

  constructor(options: LinkOptions & { handlers: AgentPeerHandlers }) {
    super({
      ...options,
      controlReader: routerControlReader(options.limits.maxControlBytes),
      onClose: (reason, detail, by) => options.handlers.onClose(reason, detail, by),
    });
    this.handlers = options.handlers;
  }

  send(message: AgentControl): void {
    if (this.phase === 'closed') return;
    const isHello = message.type === 'hello';
    if (isHello !== (this.phase === 'judging') && message.type !== 'goaway') {
      throw new Error(`${message.type} is out of place in phase ${this.phase}`);
    }
    if (message.type === 'goaway' && this.phase !== 'open') return;
    for (const frame of encodeControl(message)) this.outbox.pushControl(frame);
  }

  congested(): boolean {
    return this.phase !== 'open' || this.outbox.congested;
  }

  override onStreamClosed(stream: MuxStream): void {
    super.onStreamClosed(stream);
    this.strayBytes += (stream as AgentStream).bodyCredit;
    const { strayFramesPerStream, maxStreams } = this.limits;
    const most = strayFramesPerStream * maxStreams;
    this.strayFrames = Math.min(most, this.strayFrames + strayFramesPerStream);
  }

  protected override acceptsControl(name: FrameName): boolean {
    if (name === 'goaway') return true;
    if (this.phase === 'greeting') return name === 'challenge';
    if (this.phase === 'judging') return name === 'welcome';
    return afterHandshake.has(name);
  }

  protected override onControl(message: RouterControl): void {
    if (message.type === 'challenge') this.phase = 'judging';
    if (message.type === 'welcome') {
      this.phase = 'open';
      this.liveness.agree(message);
      this.liveness.establish();
    }
    this.handlers.onControl(message);
  }

  protected override onStreamMessage(name: FrameName, id: number, payload: Buffer): void {
    if (name !== 'open') return this.violation(`${name} on a stream`);
    if (!this.isNew(id)) return this.violation(`OPEN of stream ${id}, which was there before`);
    const open = decodeJson(openSchema, payload);
    if (open.kind === 'bad') return this.violation(`open ${open.detail}`);
    if (this.streams.size >= this.limits.maxStreams) {
      return this.violation(`more than ${this.limits.maxStreams} streams`, 'too_many_streams');
    }
    this.lastId = id;
    const stream = new AgentStream({ id, owner: this });
    this.streams.set(id, stream);
    stream.attach(this.handlers.onOpen(open.message, stream));
  }

  protected override onStrayFrame(id: number, dataBytes: number): void {
    if (this.isNew(id)) return this.violation(`frame on stream ${id}, which was never opened`);
    this.strayBytes -= dataBytes;
    if (dataBytes === 0) this.strayFrames -= 1;
    if (this.strayBytes < 0 || this.strayFrames < 0) {
      this.violation('more frames on finished streams than were under way');
    }
  }

  /** Ids rise around the 32 bits: the half of the circle after the last one is new. */
  private isNew(id: number): boolean {
    const ahead = (id - this.lastId) >>> 0;
    return ahead !== 0 && ahead < 0x8000_0000;
  }
}
