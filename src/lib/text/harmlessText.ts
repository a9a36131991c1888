/**
 * Words of somebody else, as a screen may show them: lines and tabs stay, nothing else moves the
 * cursor, colours the screen or reaches the clipboard. A carriage's return alone would write over
 * the line.
 */
export function harmlessText(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll(/(?![\n\t])\p{Cc}/gu, '\uFFFD');
}
