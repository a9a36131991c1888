/** Usage as engines give it, read for END and rewritten to OpenAI's shape for the client. */
import { maxUsageTokens } from '../../protocol/limits.ts';
import type { EngineUsage, JsonObject } from '../engines/engine.ts';
import { arrayOf, objectOf } from './jsonValue.ts';

/** The engine's own counts in a chunk or an answer; undefined when it has none (E4). */
export function usageOf(event: JsonObject): EngineUsage | undefined {
  const usage = objectOf(event['usage']);
  const input = count(usage?.['prompt_tokens']);
  if (usage === undefined || input === undefined) return undefined;
  const total = count(usage['total_tokens']);
  // Embeddings have no output; some engines leave it out and give the total.
  const output = count(usage['completion_tokens']) ?? Math.max(0, (total ?? input) - input);
  const details = objectOf(usage['prompt_tokens_details']);
  const cached =
    count(details?.['cached_tokens']) ?? count(objectOf(event['timings'])?.['cache_n']);
  return { input, output, cached: Math.min(input, cached ?? 0) };
}

const textMembers = ['content', 'reasoning_content', 'reasoning', 'text'];

/** A chunk with text of the answer or a tool call; or of a token that is part of a character. */
export function tokenKind(event: JsonObject): 'seen' | 'unseen' | 'none' {
  let kind: 'unseen' | 'none' = 'none';
  for (const choice of arrayOf(event['choices'])) {
    const fields = objectOf(choice);
    const delta = objectOf(fields?.['delta']) ?? fields;
    if (delta === undefined) continue;
    if (Array.isArray(delta['tool_calls'])) return 'seen';
    if (textMembers.some((name) => typeof delta[name] === 'string' && delta[name] !== '')) {
      return 'seen';
    }
    // The chunk that says the role, and the one with the reason, are no tokens.
    const isToken = delta['role'] === undefined && typeof fields?.['finish_reason'] !== 'string';
    if ((delta['content'] ?? delta['text']) === '' && isToken) kind = 'unseen';
  }
  return kind;
}

/** Counts the tokens of a stream by its chunks. */
export class WrittenTokens {
  /** With those that are parts of a character, once it has been written. */
  count = 0;
  /** Without text since the last one with some. */
  private unseen = 0;

  take(event: JsonObject): void {
    const kind = tokenKind(event);
    if (kind === 'none') return;
    this.unseen += 1;
    if (kind === 'unseen') return;
    this.count += this.unseen;
    this.unseen = 0;
  }
}

/** The `usage` member of an answer, whole, whatever the engine left out. */
export function wireUsage(usage: EngineUsage): JsonObject {
  return {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cached },
  };
}

/**
 * At most what END can carry: trailers are repeated until the router has them, so one count that
 * the router refuses would end this link and every later one.
 */
function count(value: unknown): number | undefined {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) return undefined;
  return Math.min(value, maxUsageTokens);
}
