/**
 * Replaces members of a JSON object in its text: bytes are moved, nothing is parsed, and what is
 * not named stays as it came (numbers to the last digit, escapes, order).
 */
import { endOfString } from './jsonString.ts';

/** JSON texts by name; undefined removes the member. */
export type MemberChanges = Readonly<Record<string, string | undefined>>;

interface Member {
  name: string;
  /** From behind the brace or comma before it to the comma or brace behind it. */
  start: number;
  end: number;
}

/**
 * The object with these members, in memory of its own. `text` has to be the JSON of an object.
 * Undefined when it names a member twice: which of the two counts is for a parser to say.
 */
export function withMembers(text: Buffer, changes: MemberChanges): Buffer | undefined {
  const members = membersOf(text);
  if (new Set(members.map(({ name }) => name)).size < members.length) return undefined;
  const kept = members.filter(({ name }) => !Object.hasOwn(changes, name));
  const added = Object.entries(changes).flatMap(([name, value]) =>
    value === undefined ? [] : [`${JSON.stringify(name)}:${value}`],
  );
  const tail = `${kept.length > 0 && added.length > 0 ? ',' : ''}${added.join(',')}}`;
  const keptBytes = kept.reduce((sum, { start, end }) => sum + end - start, 0);
  const commas = Math.max(0, kept.length - 1);
  // A small buffer would be cut from a slab of 64 KiB and hold all of it for as long as it lives.
  const bytes = Buffer.allocUnsafeSlow(1 + keptBytes + commas + Buffer.byteLength(tail));
  let at = bytes.write('{', 'latin1');
  for (const [n, { start, end }] of kept.entries()) {
    if (n > 0) at += bytes.write(',', at, 'latin1');
    at += text.copy(bytes, at, start, end);
  }
  bytes.write(tail, at);
  return bytes;
}

/** The members of the outermost object. */
function membersOf(text: Buffer): Member[] {
  const members: Member[] = [];
  let depth = 0;
  let start = 0;
  let colon = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text[at]) {
      case 0x22: // "
        at = endOfString(text, at);
        break;
      case 0x5b: // [
      case 0x7b: // {
        depth += 1;
        if (depth === 1) start = at + 1;
        break;
      case 0x3a: // :
        if (depth === 1) colon = at;
        break;
      case 0x2c: // ,
        if (depth !== 1) break;
        members.push({ name: nameOf(text, start, colon), start, end: at });
        start = at + 1;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth -= 1;
        if (depth === 0 && colon > start) {
          members.push({ name: nameOf(text, start, colon), start, end: at });
        }
        break;
      default:
        break;
    }
  }
  return members;
}

/** A member's name may be written with escapes. */
function nameOf(text: Buffer, start: number, colon: number): string {
  return JSON.parse(text.toString('utf8', start, colon)) as string;
}
