/**
 * Usage as an agent reports it, clamped by what was relayed: agents are untrusted peers, and what
 * they report is billed.
 */
import type { EndMessage } from '../../protocol/messages/end.ts';
import type { Attempt } from './attempt.ts';
import type { DeliveredCounts } from '../resuming/resumedStream.ts';

export interface ClampedUsage {
  input: number;
  cached: number;
  output: number;
  /** Some figure was out of the range of what was relayed. */
  clamped: boolean;
  /** Of the output: what other agents had written before. */
  delivered?: number;
}

/** A chat template may add so many tokens to what the body holds. */
const templateTokens = 1024;
/** Tokens that an engine counts and that leave no byte: the end of the text, a stop string. */
const unseenTokens = 64;

/** What an agent says that its attempt came to; undefined: nothing. `bodyBytes`: of the client. */
export function countedUsage(
  end: EndMessage | undefined,
  what: { attempt: Attempt | undefined; bodyBytes: number },
): ClampedUsage | undefined {
  if (end?.usage === undefined) return undefined;
  const { continuation = null, answerBytes = 0 } = what.attempt ?? {};
  const bodyBytes = continuation?.body.length ?? what.bodyBytes;
  const clamped = clampUsage(end.usage, { bodyBytes, answerBytes });
  return continuation === null ? clamped : joinUsage(clamped, continuation.counts);
}

/** No token is shorter than a byte: neither of the body nor of the answer. */
export function clampUsage(
  usage: NonNullable<EndMessage['usage']>,
  relayed: { bodyBytes: number; answerBytes: number },
): ClampedUsage {
  const input = Math.min(usage.input, relayed.bodyBytes + templateTokens);
  const cached = Math.min(usage.cached, input);
  const output = Math.min(usage.output, relayed.answerBytes + unseenTokens);
  const clamped = input !== usage.input || cached !== usage.cached || output !== usage.output;
  return { input, cached, output, clamped };
}

/** Of an answer that was continued: the prompt once, and all of the answer. */
export function joinUsage(last: ClampedUsage, { delivered, sent }: DeliveredCounts): ClampedUsage {
  const input = Math.max(0, last.input - sent);
  const cached = Math.min(input, last.cached);
  return { ...last, input, cached, output: last.output + delivered, delivered };
}
