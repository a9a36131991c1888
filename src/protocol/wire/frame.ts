/**
 * The frame: nine bytes of header, then at most 16 KiB of payload.
 *
 *     0      type    u8
 *     1      flags   u8
 *     2..5   stream  u32, big-endian; 0 = the link itself
 *     6..8   length  u24, big-endian
 *
 * A transport message is one or more whole frames. Here are the numbers, the writers and the
 * readers of the binary payloads; JSON payloads are in `controlCodec.ts`. The relay's hot path
 * reads headers in place (`peer/linkCore.ts`), without an object for each frame.
 */

export const frameHeaderBytes = 9;
export const maxPayloadBytes = 16 * 1024;
export const maxStreamId = 0xffff_ffff;

export const frameType = {
  challenge: 1,
  hello: 2,
  welcome: 3,
  open: 4,
  head: 5,
  data: 6,
  end: 7,
  reset: 8,
  credit: 9,
  grant: 10,
  ping: 11,
  pong: 12,
  heartbeat: 13,
  config: 14,
  token: 15,
  goaway: 16,
  log: 17,
  ack: 18,
  trailers: 19,
} as const;
export type FrameName = keyof typeof frameType;

export const frameFlag = {
  /** On DATA towards the agent: the request body ends with this frame. */
  fin: 1,
  /** On a control message: the same message goes on in the next frame of its type. */
  more: 2,
} as const;

/** One frame, for tests, tools and the test vectors. */
export interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: Buffer;
}

/** Writes a header at `offset`. The caller has made room. */
export function writeHeader(
  target: Buffer,
  offset: number,
  frame: { type: number; flags: number; stream: number; length: number },
): void {
  const { type, flags, stream, length } = frame;
  target[offset] = type;
  target[offset + 1] = flags;
  target[offset + 2] = stream >>> 24;
  target[offset + 3] = stream >>> 16;
  target[offset + 4] = stream >>> 8;
  target[offset + 5] = stream;
  target[offset + 6] = length >>> 16;
  target[offset + 7] = length >>> 8;
  target[offset + 8] = length;
}

/** One frame as bytes. Throws on a payload over 16 KiB: the caller splits. */
export function encodeFrame(frame: Frame): Buffer {
  const { type, flags, stream, payload } = frame;
  if (payload.length > maxPayloadBytes) throw new RangeError('payload over 16 KiB');
  const bytes = Buffer.allocUnsafe(frameHeaderBytes + payload.length);
  writeHeader(bytes, 0, { type, flags, stream, length: payload.length });
  payload.copy(bytes, frameHeaderBytes);
  return bytes;
}

/** Why bytes are not a row of frames. */
export type FrameProblem = 'empty' | 'truncated_header' | 'truncated_payload' | 'too_long';

/** Reads every frame of a message, or says what is wrong with it. Payloads are views. */
export function decodeFrames(message: Buffer): Frame[] | FrameProblem {
  if (message.length === 0) return 'empty';
  const frames: Frame[] = [];
  let offset = 0;
  while (offset < message.length) {
    if (message.length - offset < frameHeaderBytes) return 'truncated_header';
    const length = message.readUIntBE(offset + 6, 3);
    if (length > maxPayloadBytes) return 'too_long';
    const start = offset + frameHeaderBytes;
    if (message.length - start < length) return 'truncated_payload';
    frames.push({
      type: message.readUInt8(offset),
      flags: message.readUInt8(offset + 1),
      stream: message.readUInt32BE(offset + 2),
      payload: message.subarray(start, start + length),
    });
    offset = start + length;
  }
  return frames;
}

/** CREDIT: bytes that may be sent in addition, u32. */
export function encodeCredit(credit: { stream: number; bytes: number }): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + 4);
  writeHeader(frame, 0, { type: frameType.credit, flags: 0, stream: credit.stream, length: 4 });
  frame.writeUInt32BE(credit.bytes, frameHeaderBytes);
  return frame;
}

/** The bytes of a CREDIT, or undefined when the payload is none (wrong length, zero). */
export function readCredit(payload: Buffer): number | undefined {
  if (payload.length !== 4) return undefined;
  const bytes = payload.readUInt32BE(0);
  return bytes === 0 ? undefined : bytes;
}

/** PING and PONG: the sender's counter, u32. A PONG carries back what the PING said. */
export function encodePing(ping: { type: 'ping' | 'pong'; counter: number }): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + 4);
  writeHeader(frame, 0, { type: frameType[ping.type], flags: 0, stream: 0, length: 4 });
  frame.writeUInt32BE(ping.counter, frameHeaderBytes);
  return frame;
}
