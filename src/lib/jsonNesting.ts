/**
 * How deep JSON text nests, without parsing it. `JSON.parse` takes any depth, `JSON.stringify`
 * overflows the stack on what it gave: text of strangers is measured before it is rewritten.
 */
/** Levels that a body may have; `JSON.stringify` overflows at some thousands. */
export const maxBodyNesting = 512;

const quote = 0x22;
const backslash = 0x5c;

/** Whether arrays and objects nest deeper than `levels`. Text that is no JSON gives either. */
export function nestsDeeperThan(text: Buffer, levels: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text[at]) {
      case quote:
        at = endOfString(text, at);
        break;
      case 0x5b: // [
      case 0x7b: // {
        depth += 1;
        if (depth > levels) return true;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth -= 1;
        break;
      default:
        break;
    }
  }
  return false;
}

/** Where the string that opens at `start` closes; strings are most of a body and are leapt over. */
function endOfString(text: Buffer, start: number): number {
  for (let end = text.indexOf(quote, start + 1); end !== -1; end = text.indexOf(quote, end + 1)) {
    let escapes = 0;
    while (text[end - 1 - escapes] === backslash) escapes += 1;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}
