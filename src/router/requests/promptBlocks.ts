/**
 * What a prompt has in common with others, without parsing it: keyed hashes of the blocks of 1 KiB
 * of its messages as they came, each over its block and all before it. Clients that go on with a
 * conversation send its beginning again byte for byte, so equal beginnings have equal hashes.
 *
 * The key is of the process and of nobody else. The hashes are two mixed lanes of 32 bits
 * (murmur's mixing), not proof against somebody who knows the key: within one project they decide
 * about nothing but where a request is served fastest, and they never leave the process. A KiB
 * costs half a microsecond; a body below one costs nothing.
 */
import type { PromptBlocks } from '../../domain/agents/matching.ts';
import type { Random } from '../../lib/random.ts';
import { maxPromptBlocks, promptBlockBytes } from '../limits.ts';

/**
 * Where what an engine reads begins. A body that names it in another place loses nothing but a hit.
 */
const beginnings = ['"messages"', '"prompt"', '"input"'].map((name) => Buffer.from(name));

export class PromptHasher {
  private readonly key: readonly [number, number];

  constructor(random: Random) {
    const bytes = random.bytes(8);
    this.key = [bytes.readInt32LE(0), bytes.readInt32LE(4)];
  }

  /** Undefined where there is no whole block. */
  blocksOf(body: Buffer): PromptBlocks | undefined {
    if (body.length < promptBlockBytes) return undefined;
    const start = beginningOf(body);
    const count = Math.min(maxPromptBlocks, Math.floor((body.length - start) / promptBlockBytes));
    if (count === 0) return undefined;
    const view = new DataView(body.buffer, body.byteOffset + start, count * promptBlockBytes);
    let [high, low] = this.key;
    const blocks: number[] = [];
    for (let block = 0; block < count; block += 1) {
      const from = block * promptBlockBytes;
      for (let at = from; at < from + promptBlockBytes; at += 8) {
        high = mix(high, view.getInt32(at, true));
        low = mix(low, view.getInt32(at + 4, true) ^ high);
      }
      // 53 bits: what a number holds exactly.
      blocks.push((finish(high) >>> 11) * 2 ** 32 + (finish(low ^ high) >>> 0));
    }
    return { blocks, blockBytes: promptBlockBytes };
  }
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
