/** Where strings of JSON text end, without parsing it. */

const quote = 0x22;
const backslash = 0x5c;

/**
 * The place of the quote that closes the string whose quote stands at `start`; the length of the
 * text when there is none. A string without escapes is leapt over.
 */
export function endOfString(text: Buffer, start: number): number {
  const next = text.indexOf(quote, start + 1);
  if (next === -1) return text.length;
  if (text[next - 1] !== backslash) return next;
  // From escape to escape: a search for each quote of a long text would cost three times as much.
  let at = start + 1;
  while (at < text.length && text[at] !== quote) at += text[at] === backslash ? 2 : 1;
  return Math.min(at, text.length);
}
