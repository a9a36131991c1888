/**
 * Messages in JSON, as frames and back: the control messages of both sides (stream 0, possibly over
 * many frames), and OPEN, HEAD and END (one frame each, on their stream).
 *
 * Invariants
 * M1 Nothing that a peer sent is used before its schema has accepted it.
 * M2 A control message in many frames is held up to `maxControlBytes`, one at a time.
 */
import type { z } from 'zod';
import { encodeFrame, frameFlag, frameType, maxPayloadBytes, type FrameName } from './frame.ts';
import { agentControlSchema, type AgentControl } from '../messages/agentControl.ts';
import { routerControlSchema, type RouterControl } from '../messages/routerControl.ts';

type ControlType = AgentControl['type'] | RouterControl['type'];

const nameOfType = new Map<number, FrameName>(
  Object.entries(frameType).map(([name, number]) => [number, name as FrameName]),
);

/** The name of a frame type's number, or undefined. */
export function frameName(type: number): FrameName | undefined {
  return nameOfType.get(type);
}

/** A control message as its frames, one or more. Its type stands in the frame alone. */
export function encodeControl(message: AgentControl | RouterControl): Buffer[] {
  const { type, ...body } = message;
  const json = Buffer.from(JSON.stringify(body));
  const frames: Buffer[] = [];
  let offset = 0;
  do {
    const payload = json.subarray(offset, offset + maxPayloadBytes);
    offset += payload.length;
    const flags = offset < json.length ? frameFlag.more : 0;
    frames.push(
      encodeFrame({ type: frameType[type satisfies ControlType], flags, stream: 0, payload }),
    );
  } while (offset < json.length);
  return frames;
}

/**
 * A JSON message that belongs to a stream, in one frame. Throws when it does not fit: our own bug.
 */
export function encodeStreamMessage(options: {
  type: 'open' | 'head' | 'end';
  stream: number;
  message: object;
}): Buffer {
  const payload = Buffer.from(JSON.stringify(options.message));
  return encodeFrame({ type: frameType[options.type], flags: 0, stream: options.stream, payload });
}

export type Decoded<Message> =
  | { kind: 'message'; message: Message }
  | { kind: 'bad'; detail: string };

/** Reads a JSON payload by its schema (M1). Never throws on what a peer sent. */
export function decodeJson<Message>(schema: z.ZodType<Message>, payload: Buffer): Decoded<Message> {
  const value = parsed(payload);
  if (value === undefined) return { kind: 'bad', detail: 'not JSON' };
  return checked(schema, value.json);
}

function checked<Message>(schema: z.ZodType<Message>, value: unknown): Decoded<Message> {
  const outcome = schema.safeParse(value);
  if (outcome.success) return { kind: 'message', message: outcome.data };
  const [issue] = outcome.error.issues;
  return { kind: 'bad', detail: `${issue?.path.map(String).join('.')}: ${issue?.code}` };
}

function parsed(payload: Buffer): { json: unknown } | undefined {
  try {
    return { json: JSON.parse(payload.toString('utf8')) };
  } catch {
    return undefined;
  }
}

export type ControlOutcome<Message> = Decoded<Message> | { kind: 'incomplete' };

/** Puts control messages together from their frames (M2). One for each direction of a link. */
export class ControlReader<Message> {
  private readonly schema: z.ZodType<Message>;
  private readonly maxControlBytes: number;
  private name: FrameName | undefined;
  private parts: Buffer[] = [];
  private heldBytes = 0;

  constructor(options: { schema: z.ZodType<Message>; maxControlBytes: number }) {
    this.schema = options.schema;
    this.maxControlBytes = options.maxControlBytes;
  }

  /** Takes one control frame. `payload` may be a view: what is kept is copied. */
  read(frame: { name: FrameName; more: boolean; payload: Buffer }): ControlOutcome<Message> {
    const { name, more, payload } = frame;
    if (this.name !== undefined && this.name !== name) {
      return { kind: 'bad', detail: `${name} inside ${this.name}` };
    }
    if (!more && this.name === undefined) return this.whole(name, payload);
    if (payload.length === 0) return { kind: 'bad', detail: 'empty part' };
    this.heldBytes += payload.length;
    if (this.heldBytes > this.maxControlBytes) return { kind: 'bad', detail: `${name} too long` };
    this.parts.push(Buffer.from(payload));
    if (more) {
      this.name = name;
      return { kind: 'incomplete' };
    }
    const bytes = Buffer.concat(this.parts);
    this.name = undefined;
    this.parts = [];
    this.heldBytes = 0;
    return this.whole(name, bytes);
  }

  private whole(name: FrameName, payload: Buffer): Decoded<Message> {
    const value = parsed(payload);
    if (value === undefined) return { kind: 'bad', detail: `${name} is not JSON` };
    if (value.json === null || typeof value.json !== 'object' || Array.isArray(value.json)) {
      return { kind: 'bad', detail: `${name} is not an object` };
    }
    // The frame's type decides: a `type` inside of the payload cannot make it another message.
    const outcome = checked(this.schema, { ...value.json, type: name });
    return outcome.kind === 'bad' ? { kind: 'bad', detail: `${name} ${outcome.detail}` } : outcome;
  }
}

export const agentControlReader = (maxControlBytes: number): ControlReader<AgentControl> =>
  new ControlReader({ schema: agentControlSchema, maxControlBytes });

export const routerControlReader = (maxControlBytes: number): ControlReader<RouterControl> =>
  new ControlReader({ schema: routerControlSchema, maxControlBytes });
