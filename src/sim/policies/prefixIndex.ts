/**
 * What a router believes that an instance holds: hashes of the prefix blocks that it sent there,
 * the least recently sent ones forgotten beyond a bound. It never sees what the engine evicts.
 */
export class PrefixIndex {
  private readonly blocks = new Set<number>();
  private readonly most: number;

  constructor(mostBlocks: number) {
    this.most = mostBlocks;
  }

  get size(): number {
    return this.blocks.size;
  }

  /** Blocks of the longest prefix that was sent there. */
  match(blocks: readonly number[]): number {
    let matched = 0;
    while (matched < blocks.length && this.blocks.has(blocks[matched] as number)) matched += 1;
    return matched;
  }

  sent(blocks: readonly number[]): void {
    for (let at = blocks.length - 1; at >= 0; at -= 1) {
      const block = blocks[at] as number;
      this.blocks.delete(block);
      this.blocks.add(block);
    }
    for (const block of this.blocks) {
      if (this.blocks.size <= this.most) return;
      this.blocks.delete(block);
    }
  }

  clear(): void {
    this.blocks.clear();
  }
}
