/** The answer of the fake engine to `Repeat exactly: …`, from its beginning or from its middle. */

const order = 'Repeat exactly: ';

interface Body {
  messages?: { role?: string; content?: unknown }[];
  continue_final_message?: boolean;
  max_tokens?: number;
  max_completion_tokens?: number;
  stop?: string | string[];
}

/**
 * The texts of its chunks; undefined when nothing is to be repeated. What the open turn does not
 * begin is answered with words that no test takes for the text.
 */
export function repeatedTexts(
  body: Record<string, unknown>,
  { units }: { units: number },
): { texts: readonly string[]; chunks: number; reason: 'stop' | 'length' } | undefined {
  const { messages = [], continue_final_message: open, ...rest } = body as Body;
  const asked = messages.findLast(({ role }) => role === 'user')?.content;
  if (typeof asked !== 'string' || !asked.startsWith(order)) return undefined;
  const whole = asked.slice(order.length);
  const turn = open === true ? String(messages.at(-1)?.content) : '';
  // A template trims the turn, and a tokeniser reads UTF-8.
  const prompt = Buffer.from(turn.trimEnd()).toString();
  const text = whole.startsWith(prompt) ? whole.slice(prompt.length) : '[not a beginning of it]';
  const shown = text.slice(0, Math.min(text.length, ...endsOf(text, rest.stop ?? [])));
  const all = Array.from({ length: Math.ceil(shown.length / units) }, (_, n) =>
    shown.slice(n * units, (n + 1) * units),
  );
  const most = rest.max_completion_tokens ?? rest.max_tokens ?? Infinity;
  const texts = all.slice(0, most);
  return { texts, chunks: texts.length, reason: texts.length < all.length ? 'length' : 'stop' };
}

const endsOf = (text: string, stop: string | string[]): number[] =>
  [stop]
    .flat()
    .map((one) => text.indexOf(one))
    .filter((at) => at >= 0);
