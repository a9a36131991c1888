/**
 * The prompt of an answer that was continued, in tokens. Nobody has counted it alone: the engine
 * that began the answer broke before it could, and the one that ended it counted the prompt
 * together with what it was sent of the answer. That part is known in tokens of the engines before.
 *
 * - Where they count alike, what is left of the count without that part is the prompt to the token.
 * - Another tokenizer may make fewer tokens of that text. Then too much was taken off, and in the
 *   end nothing is left. So where less is left than half of the prompt's share, by length, of what
 *   the engine read, it is that share: of its own count alone, and within what one language and
 *   another, or prose and figures, differ by.
 *
 * If it makes more of that text, what is left is too much, and stays: prompt and output are
 * together what it counted then, and a share does not know what a template or an image adds. The
 * prompt is never more than was counted, and never nothing.
 */
export interface PromptPart {
  /** Tokens of the answer that the engine was sent, as those who wrote them count. */
  sentTokens: number;
  /** The part that the prompt has, by length, of what it read: from 0 to 1. */
  promptShare: number;
}

/** A share may be wrong by this factor, with one tokenizer. */
const shareError = 2;

export function promptTokens(counted: number, { sentTokens, promptShare }: PromptPart): number {
  const left = counted - sentTokens;
  const share = counted * promptShare;
  if (left > 0 && left >= share / shareError) return left;
  return Math.min(counted, Math.max(1, Math.round(share)));
}

/**
 * Of messages, as the client sent them, before so much of the answer. As JSON the roles count for
 * what a template puts around each of them; images, whose length says nothing, do not count.
 */
export function promptShareOf(messages: unknown, sent: string): number {
  const prompt = Buffer.byteLength(JSON.stringify(messages ?? null, withoutData));
  return prompt / (prompt + Buffer.byteLength(JSON.stringify(sent)));
}

const withoutData = (_name: string, value: unknown): unknown =>
  typeof value === 'string' && value.startsWith('data:') ? '' : value;
