/**
 * Why a link closed, as a WebSocket close code (4000 to 4999 are free for applications), so that
 * the other end learns the reason even when nothing else reaches it any more.
 */
import type { LinkCloseReason } from '../link.ts';

const codeNumber = {
  protocol_error: 4001,
  credit_overrun: 4002,
  too_many_streams: 4003,
  silent: 4004,
  unauthorized: 4005,
  suspended: 4006,
  replaced: 4007,
  fenced: 4008,
  token_expired: 4009,
  going_away: 4010,
  version_unsupported: 4011,
  too_slow: 4012,
  shutting_down: 4013,
  closed_by_peer: 1000,
  transport_error: 1011,
} as const satisfies Record<LinkCloseReason, number>;

const reasonOf = new Map<number, LinkCloseReason>(
  Object.entries(codeNumber).map(([reason, code]) => [code, reason as LinkCloseReason]),
);

export const closeCodes: Readonly<Record<LinkCloseReason, number>> = codeNumber;

/** The code with which a WebSocket library reports a connection that ended without a close. */
const abnormalClosure = 1006;
/** The code with which a peer's WebSocket library refuses a message of ours. */
const messageTooBig = 1009;

/** The reason that a transport's close code stands for. */
export function closeReason(code: number): LinkCloseReason {
  if (code === abnormalClosure) return 'transport_error';
  if (code === messageTooBig) return 'protocol_error';
  return reasonOf.get(code) ?? 'closed_by_peer';
}
