/**
 * Log probabilities of chat choices as OpenAI's schema demands them: `content` and `refusal` both
 * there, every token with its bytes and alternatives. Engines leave out one or the other.
 */
import type { JsonObject } from '../engines/engine.ts';
import { arrayOf, objectOf, stringOf } from './jsonValue.ts';

/** The `logprobs` member of a chat choice; null when the engine gave none. */
export function wireLogprobs(value: unknown): JsonObject | null {
  const given = objectOf(value);
  if (given === undefined) return null;
  return { content: tokens(given['content']), refusal: tokens(given['refusal']) };
}

function tokens(value: unknown): JsonObject[] | null {
  if (!Array.isArray(value)) return null;
  return value.flatMap((entry) => {
    const token = tokenOf(entry);
    if (token === undefined) return [];
    const alternatives = arrayOf(objectOf(entry)?.['top_logprobs']).flatMap((other) => {
      return tokenOf(other) ?? [];
    });
    return [{ ...token, top_logprobs: alternatives }];
  });
}

function tokenOf(value: unknown): JsonObject | undefined {
  const entry = objectOf(value);
  const token = stringOf(entry?.['token']);
  if (entry === undefined || token === undefined) return undefined;
  const { logprob, bytes } = entry;
  return {
    token,
    // JSON has no −∞; engines write null for it, OpenAI writes −9999.
    logprob: typeof logprob === 'number' ? logprob : -9999,
    bytes: Array.isArray(bytes) ? bytes : [...Buffer.from(token)],
  };
}
