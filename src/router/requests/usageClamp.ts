/**
 * Usage as an agent reports it, clamped by what was relayed: agents are untrusted peers, and what
 * they report is billed.
 */
import type { EndMessage } from '../../protocol/messages/end.ts';
import { promptTokens } from '../resuming/promptTokens.ts';
import type { Continuation, UsedSoFar } from '../resuming/resumable.ts';
import type { Attempt } from './attempt.ts';

export interface ClampedUsage {
  input: number;
  cached: number;
  output: number;
  /** Some figure was out of the range of what was relayed. */
  clamped: boolean;
  /** Of the output: what other agents had written before. */
  delivered?: number;
}

/** Undefined: nobody counted. */
type CountedUsage = ClampedUsage | undefined;

/** A chat template may add so many tokens to what the body holds. */
const templateTokens = 1024;
/** Tokens that an engine counts and that leave no byte: the end of the text, a stop string. */
const unseenTokens = 64;

/** What an agent says that its attempt came to; undefined: nothing. `bodyBytes`: of the client. */
export function countedUsage(
  end: EndMessage | undefined,
  what: { attempt: Attempt | undefined; bodyBytes: number; mediaTokens: number },
): CountedUsage {
  if (end?.usage === undefined) return undefined;
  const { continuation = null, answerBytes = 0 } = what.attempt ?? {};
  const bodyBytes = (continuation?.body.length ?? what.bodyBytes) + what.mediaTokens;
  const clamped = clampUsage(end.usage, { bodyBytes, answerBytes });
  return continuation === null ? clamped : joinUsage(clamped, continuation);
}

/**
 * Of an answer that its client did not read to the end, so that its engine was stopped before it
 * counted: the agent tells what it wrote, in chunks, and the prompt is as was estimated. `before`:
 * tokens that other agents wrote; `most`: what the request allows, null: anything.
 */
export function writtenUsage(
  end: EndMessage | undefined,
  what: { attempt: Attempt; before: number; tokensPerChunk: number; most: number | null },
): CountedUsage {
  const { attempt, before, tokensPerChunk, most } = what;
  const tokens = Math.round((end?.written ?? 0) * tokensPerChunk);
  const written = Math.min(tokens, attempt.answerBytes);
  if (written + before === 0) return undefined;
  const output = Math.min(written + before, most ?? Infinity);
  return estimated(attempt.dispatch, { output, sentTokens: before });
}

/**
 * Of an answer that is complete, though its agent was lost before it could say what it came to:
 * what its engine told in the stream, or what is known of it here.
 */
export function seenUsage(
  { told, tokens, bytes }: UsedSoFar,
  { attempt, bodyBytes, most }: { attempt: Attempt; bodyBytes: number; most: number | null },
): ClampedUsage {
  const sentTokens = attempt.continuation?.sentTokens ?? 0;
  const counted = told === null ? undefined : toldUsage(told);
  if (counted !== undefined) {
    return { ...clampUsage(counted, { bodyBytes, answerBytes: bytes }), delivered: sentTokens };
  }
  const output = Math.min(tokens, most ?? Infinity);
  return estimated(attempt.dispatch, { output, sentTokens });
}

function estimated(
  { work: { prompt, own } }: Attempt['dispatch'],
  { output, sentTokens }: { output: number; sentTokens: number },
): ClampedUsage {
  // Estimated from the client's body: nothing of the answer is in it.
  const cached = Math.max(0, prompt - own);
  return { input: prompt, cached, output, clamped: false, delivered: sentTokens };
}

function toldUsage(told: Record<string, unknown>): EndMessage['usage'] {
  const details = (told['prompt_tokens_details'] ?? {}) as Record<string, unknown>;
  const [input, output] = [told['prompt_tokens'], told['completion_tokens']];
  const cached = details['cached_tokens'] ?? 0;
  return isCount(input) && isCount(output) && isCount(cached)
    ? { input, cached, output }
    : undefined;
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

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
function joinUsage(last: ClampedUsage, continuation: Continuation): ClampedUsage {
  const { sentTokens } = continuation;
  const input = promptTokens(last.input, continuation);
  const cached = Math.min(input, last.cached);
  return { ...last, input, cached, output: last.output + sentTokens, delivered: sentTokens };
}
