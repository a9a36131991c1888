/**
 * What an engine keeps of prompts that it has finished: prefix blocks, the least recently used one
 * goes first. Of one prompt the last block goes first, because without the blocks before it a block
 * is of no use.
 */
import { blockTokens } from '../limits.ts';

export class PrefixCache {
  /** In the order of their use, the oldest first. */
  private readonly blocks = new Set<number>();

  /** Tokens that it holds. */
  get tokens(): number {
    return this.blocks.size * blockTokens;
  }

  /** Blocks of the longest prefix that is held; they count as used now. */
  match(blocks: readonly number[]): number {
    let matched = 0;
    while (matched < blocks.length && this.blocks.has(blocks[matched] as number)) matched += 1;
    this.use(blocks, matched);
    return matched;
  }

  /** Holds the first `count` blocks of a prompt from now on. */
  use(blocks: readonly number[], count: number): void {
    for (let at = count - 1; at >= 0; at -= 1) {
      const block = blocks[at] as number;
      this.blocks.delete(block);
      this.blocks.add(block);
    }
  }

  /** Drops the least recently used ones until it holds at most so many tokens. */
  shrinkTo(tokens: number): void {
    for (const block of this.blocks) {
      if (this.tokens <= tokens) return;
      this.blocks.delete(block);
    }
  }

  clear(): void {
    this.blocks.clear();
  }
}
