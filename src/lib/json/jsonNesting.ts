/**
 * How deep JSON text nests, without parsing it. `JSON.parse` takes any depth, `JSON.stringify`
 * overflows the stack on what it gave: text of strangers is measured before it is rewritten.
 */
import { endOfString } from './jsonString.ts';

/** Levels that a body may have; `JSON.stringify` overflows at some thousands. */
export const maxBodyNesting = 512;

/** Whether arrays and objects nest deeper than `levels`. Text that is no JSON gives either. */
export function nestsDeeperThan(text: Buffer, levels: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text[at]) {
      case 0x22: // "
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
