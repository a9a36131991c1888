/** RESET on the wire: the code's number, u8, then a detail in UTF-8 for logs. */
import { encodeFrame, frameType } from './frame.ts';
import { linkLimits } from '../limits.ts';
import type { ResetCode } from '../link.ts';

const codeNumber = {
  cancelled: 1,
  engine_failed: 2,
  engine_unreachable: 3,
  not_granted: 4,
  unknown_instance: 5,
  refused: 6,
  too_slow: 7,
  idle: 8,
  body_too_large: 9,
  internal: 10,
  link_closed: 11,
} as const satisfies Record<ResetCode, number>;

const codeOf = new Map(
  Object.entries(codeNumber).map(([code, number]) => [number, code as ResetCode]),
);

export const resetCodes: Readonly<Record<ResetCode, number>> = codeNumber;

export function encodeReset(reset: { stream: number; code: ResetCode; detail: string }): Buffer {
  const detail = shortened(reset.detail);
  const payload = Buffer.concat([Buffer.from([codeNumber[reset.code]]), detail]);
  return encodeFrame({ type: frameType.reset, flags: 0, stream: reset.stream, payload });
}

/**
 * Code and detail of a RESET, or undefined when the payload is none. A number that we do not know
 * (a newer peer's) reads as `internal`: the stream has ended all the same.
 */
export function readReset(payload: Buffer): { code: ResetCode; detail: string } | undefined {
  if (payload.length === 0 || payload.length > 1 + linkLimits.maxDetailBytes) return undefined;
  const code = codeOf.get(payload.readUInt8(0) as 1) ?? 'internal';
  return { code, detail: payload.subarray(1).toString('utf8') };
}

/** At most the bound in bytes, cut between characters. */
export function shortened(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length <= linkLimits.maxDetailBytes) return bytes;
  let end = linkLimits.maxDetailBytes;
  // A continuation byte (10xxxxxx) belongs to the character before it.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}
