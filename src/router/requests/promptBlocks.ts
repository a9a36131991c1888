/**
 * What a prompt has in common with others, without parsing it: keyed hashes of the blocks of 1 KiB
 * of its messages as they came, each over its block and all before it. Clients that go on with a
 * conversation send its beginning again byte for byte, so equal beginnings have equal hashes.
 *
 * Definitions of tools stand before the messages in what an engine reads, wherever they are in the
 * body: their blocks come first. So other tools are another prompt, and equal ones are shared by
 * prompts that have nothing else in common.
 *
 * The key is of the process and of nobody else. The hashes are two mixed lanes of 32 bits
 * (murmur's mixing), not proof against somebody who knows the key: within one project they decide
 * about nothing but where a request is served fastest, and they never leave the process. A KiB
 * costs half a microsecond; a body below one costs nothing.
 */
import type { PromptBlocks } from '../../domain/agents/matching.ts';
import type { Random } from '../../lib/random.ts';
import { maxPromptBlocks, maxToolsBytes, promptBlockBytes } from '../limits.ts';

/**
 * Where what an engine reads begins. A body that names it in another place loses nothing but a hit.
 */
const beginnings = ['"messages"', '"prompt"', '"input"'].map((name) => Buffer.from(name));

const toolsName = Buffer.from('"tools"');
const byte = (one: string): number => one.charCodeAt(0);
const quote = byte('"');

export class PromptHasher {
  private readonly key: readonly [number, number];

  constructor(random: Random) {
    const bytes = random.bytes(8);
    this.key = [bytes.readInt32LE(0), bytes.readInt32LE(4)];
  }

  /** Undefined where there is no whole block. */
  blocksOf(body: Buffer): PromptBlocks | undefined {
    if (body.length < promptBlockBytes) return undefined;
    const chain = new BlockChain(body, this.key);
    const tools = toolsIn(body);
    if (tools !== null) {
      chain.take(tools);
      chain.takeRest(tools);
    }
    // Tools between the beginning and the end of messages are looked at once more: no harm.
    chain.take({ from: beginningOf(body), to: body.length });
    const { blocks } = chain;
    return blocks.length === 0 ? undefined : { blocks, blockBytes: promptBlockBytes };
  }
}

interface Part {
  from: number;
  to: number;
}

class BlockChain {
  readonly blocks: number[] = [];
  private readonly view: DataView;
  private high: number;
  private low: number;

  constructor(body: Buffer, [high, low]: readonly [number, number]) {
    this.view = new DataView(body.buffer, body.byteOffset, body.length);
    this.high = high;
    this.low = low;
  }

  /** Its whole blocks. */
  take({ from, to }: Part): void {
    const end = to - promptBlockBytes;
    for (let at = from; at <= end && this.blocks.length < maxPromptBlocks; at += promptBlockBytes) {
      let { high, low } = this;
      for (let word = at; word < at + promptBlockBytes; word += 8) {
        high = mix(high, this.view.getInt32(word, true));
        low = mix(low, this.view.getInt32(word + 4, true) ^ high);
      }
      this.close(high, low);
    }
  }

  /** What is left of a part whose end is known counts as a block. */
  takeRest({ from, to }: Part): void {
    const rest = (to - from) % promptBlockBytes;
    if (rest === 0 || this.blocks.length >= maxPromptBlocks) return;
    let { high, low } = this;
    for (let at = to - rest; at < to; at += 1) {
      high = mix(high, this.view.getUint8(at));
      low = mix(low, rest ^ high);
    }
    this.close(high, low);
  }

  private close(high: number, low: number): void {
    this.high = high;
    this.low = low;
    // 53 bits: what a number holds exactly.
    this.blocks.push((finish(high) >>> 11) * 2 ** 32 + (finish(low ^ high) >>> 0));
  }
}

/** The array of tools, without its brackets; null: there is none, or it is too long to look at. */
function toolsIn(body: Buffer): Part | null {
  for (let at = body.indexOf(toolsName); at !== -1; at = body.indexOf(toolsName, at + 1)) {
    let open = skipSpace(body, at + toolsName.length);
    if (body[open] !== byte(':')) continue;
    open = skipSpace(body, open + 1);
    if (body[open] !== byte('[')) continue;
    const from = open + 1;
    const to = endOfArray(body, from);
    return to > from ? { from, to } : null;
  }
  return null;
}

/** Where an array that began before `from` is closed; `from` where it is not, or not soon. */
function endOfArray(body: Buffer, from: number): number {
  const last = Math.min(body.length, from + maxToolsBytes);
  let depth = 1;
  for (let at = from; at < last; at += 1) {
    const one = body[at];
    if (one === quote) {
      at = endOfString(body, at);
      if (at === -1) return from;
    } else if (one === byte('[') || one === byte('{')) depth += 1;
    else if (one === byte(']') || one === byte('}')) depth -= 1;
    if (depth === 0) return at;
  }
  return from;
}

/** The quote that closes a string; -1: none does. */
function endOfString(body: Buffer, from: number): number {
  for (let at = body.indexOf(quote, from + 1); at !== -1; at = body.indexOf(quote, at + 1)) {
    let escapes = 0;
    while (body[at - 1 - escapes] === byte('\\')) escapes += 1;
    if (escapes % 2 === 0) return at;
  }
  return -1;
}

function skipSpace(body: Buffer, from: number): number {
  let at = from;
  while (at < body.length && (body[at] ?? 0) <= byte(' ')) at += 1;
  return at;
}

function beginningOf(body: Buffer): number {
  for (const name of beginnings) {
    const at = body.indexOf(name);
    if (at !== -1) return at;
  }
  return 0;
}

function mix(hash: number, word: number): number {
  const spread = Math.imul(word, 0xcc9e2d51);
  const turned = hash ^ Math.imul((spread << 15) | (spread >>> 17), 0x1b873593);
  return (Math.imul((turned << 13) | (turned >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number): number {
  const once = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35);
  return twice ^ (twice >>> 16);
}
