/**
 * A second account of what the router has running, kept by looking at the frames on its side of
 * every link and at nothing else: it is what the router's own sums are held against.
 */
import type { OpenMessage } from '../../protocol/messages/open.ts';
import { decodeFrames, frameType, type Frame } from '../../protocol/wire/frame.ts';

/** One OPEN, until its slot is free. */
export interface WireStream {
  requestId: string;
  agentId: string;
  instance: string;
  openedAtMs: number;
  /** The router has sent RESET and waits for the agent's last word. */
  resetAtMs: number | undefined;
  /** The first whole event, or the head of an answer in one piece, has come. */
  answeredAtMs: number | undefined;
  /** HEAD says that events follow. */
  streams: boolean;
  bytes: string;
}

export interface WireEvents {
  onOpen(stream: WireStream, message: OpenMessage): void;
  /** The first whole event of a stream has reached the router. */
  onFirstEvent(stream: WireStream): void;
  /** Anything that the trace shows: a frame's name with its stream. */
  note(text: string): void;
}

const names = new Map<number, string>(
  Object.entries(frameType).map(([name, number]) => [number, name]),
);

export class WireBook {
  readonly links = new Set<WireLink>();
  private readonly events: WireEvents;
  private readonly nowMs: () => number;

  constructor(events: WireEvents, nowMs: () => number) {
    this.events = events;
    this.nowMs = nowMs;
  }

  /** A connection of an agent to the router. */
  link(agentId: string): WireLink {
    const link = new WireLink(agentId, this.events, this.nowMs);
    this.links.add(link);
    return link;
  }

  /** Whether some link holds more than that back, because its network does. */
  heldAbove(bytes: number): boolean {
    return [...this.links].some((link) => !link.isClosed && link.heldBytes() > bytes);
  }

  /** Forgets connections that have ended. */
  sweep(): void {
    for (const link of this.links) if (link.isClosed) this.links.delete(link);
  }

  /** Streams that hold a slot. */
  *open(): Generator<WireStream> {
    for (const link of this.links) yield* link.streams.values();
  }
}

export class WireLink {
  readonly agentId: string;
  readonly streams = new Map<number, WireStream>();
  isClosed = false;
  /** Bytes that the router's end could not send yet. */
  heldBytes: () => number = () => 0;
  /** Its router's process is gone. */
  die: () => void = () => {};
  private readonly events: WireEvents;
  private readonly nowMs: () => number;

  constructor(agentId: string, events: WireEvents, nowMs: () => number) {
    this.agentId = agentId;
    this.events = events;
    this.nowMs = nowMs;
  }

  /** The router sends these frames. */
  sent(message: Buffer): void {
    for (const frame of framesOf(message)) {
      if (frame.type === frameType.open) this.opened(frame);
      else if (frame.type === frameType.reset) this.reset(frame);
      this.note('→', frame);
    }
  }

  /** They reach the router. */
  received(message: Buffer): void {
    for (const frame of framesOf(message)) {
      const stream = this.streams.get(frame.stream);
      this.note('←', frame);
      if (stream === undefined) continue;
      if (frame.type === frameType.end || frame.type === frameType.reset) {
        this.streams.delete(frame.stream);
      } else if (frame.type === frameType.head) this.head(stream, frame);
      else if (frame.type === frameType.data) this.data(stream, frame);
    }
  }

  closed(): void {
    this.isClosed = true;
    this.streams.clear();
    this.events.note(`link of ${this.agentId} closed`);
  }

  private opened({ stream: id, payload }: Frame): void {
    const message = JSON.parse(payload.toString('utf8')) as OpenMessage;
    const stream: WireStream = {
      requestId: message.requestId,
      agentId: this.agentId,
      instance: message.instance,
      openedAtMs: this.nowMs(),
      resetAtMs: undefined,
      answeredAtMs: undefined,
      streams: false,
      bytes: '',
    };
    this.streams.set(id, stream);
    this.events.onOpen(stream, message);
  }

  private reset({ stream: id }: Frame): void {
    const stream = this.streams.get(id);
    if (stream !== undefined) stream.resetAtMs ??= this.nowMs();
  }

  private head(stream: WireStream, { payload }: Frame): void {
    const head = JSON.parse(payload.toString('utf8')) as { status: number; contentType: string };
    stream.streams = head.status === 200 && head.contentType.startsWith('text/event-stream');
  }

  private data(stream: WireStream, { payload }: Frame): void {
    if (!stream.streams || stream.answeredAtMs !== undefined) return;
    stream.bytes += payload.toString('latin1');
    if (!stream.bytes.includes('\n\n')) return;
    stream.answeredAtMs = this.nowMs();
    stream.bytes = '';
    if (stream.resetAtMs === undefined) this.events.onFirstEvent(stream);
  }

  private note(way: string, { type, stream, payload }: Frame): void {
    if (stream === 0) return;
    const requestId = this.streams.get(stream)?.requestId ?? '';
    const name = names.get(type) ?? type;
    this.events.note(
      `${way} ${name} ${stream} ${payload.length} ${this.agentId.slice(-2)} ${requestId}`,
    );
  }
}

function framesOf(message: Buffer): Frame[] {
  const frames = decodeFrames(message);
  // A message that is none closes the link; there is nothing to count in it.
  return typeof frames === 'string' ? [] : frames;
}
