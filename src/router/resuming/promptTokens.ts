/**
 * The prompt of an answer that was continued, in tokens. Nobody has counted it alone: the engine
 * that began the answer broke before it could, and the one that ended it counted the prompt
 * together with what it was sent of the answer. That part is known in tokens of the engines before.
 *
 * - Where they count alike, what is left of the count without that part is the prompt to the token.
 * - Another tokenizer may make fewer tokens of that text. Then too much was taken off, and in the
 *   end nothing is left. So where less is left than any tokenizer makes of a prompt so long, it is
 *   the prompt's share, by length, of what the engine read: of its own count alone, and within what
 *   one language and another, or prose and figures, differ by.
 *
 * If it makes more of that text, what is left is too much, and stays: prompt and output are
 * together what it counted then, and a share does not know what a template or an image adds. The
 * prompt is never more than was counted, and never nothing.
 */
export interface PromptPart {
  /** Tokens of the answer that the engine was sent, as those who wrote them count. */
  sentTokens: number;
  /** The length of the prompt, and the part that it has of what the engine read: from 0 to 1. */
  promptBytes: number;
  promptShare: number;
}

/** Prose has four bytes each, and code that is deeply indented more. */
const mostBytesPerToken = 12;

export function promptTokens(counted: number, part: PromptPart): number {
  const { sentTokens, promptBytes, promptShare } = part;
  const left = counted - sentTokens;
  if (left > 0 && left >= promptBytes / mostBytesPerToken) return left;
  return Math.min(counted, Math.max(1, Math.round(counted * promptShare)));
}

/**
 * Of messages, as the client sent them, before so much of the answer. As JSON the roles count for
 * what a template puts around each of them; images, whose length says nothing, do not count.
 */
export function promptLength(
  messages: unknown,
  sent: string,
): Pick<PromptPart, 'promptBytes' | 'promptShare'> {
  const promptBytes = Buffer.byteLength(JSON.stringify(messages ?? null, withoutData));
  const sentBytes = sent === '' ? 0 : Buffer.byteLength(JSON.stringify(sent));
  return { promptBytes, promptShare: promptBytes / (promptBytes + sentBytes) };
}

const withoutData = (_name: string, value: unknown): unknown =>
  typeof value === 'string' && value.startsWith('data:') ? '' : value;
