/**
 * A router's own account of one instance, brought up to date in the moment of each choice: what it
 * dispatched there and has no first byte or no end of. Published rules decide on this alone.
 */
import type { ArrivedRequest, InstanceFacts } from '../routerPort.ts';
import { PrefixIndex } from './prefixIndex.ts';

/** A request as a rule sees it on its way. */
export interface Dispatched {
  request: ArrivedRequest;
  account: InstanceAccount;
  /** Of its prompt: what the index expected to be computed, at least 1. */
  uncachedTokens: number;
  phase: 'prefill' | 'decode';
}

export class InstanceAccount {
  readonly facts: InstanceFacts;
  readonly index: PrefixIndex;
  /** Requests without an end. */
  inFlight = 0;
  /** Prompts of the requests without an end. */
  inputTokens = 0;
  /** What is to be computed for requests without a first byte. */
  pendingTokens = 0;
  /** Different blocks of the requests without an end, each with how many have it. */
  private readonly activeBlocks = new Map<number, number>();
  /** Blocks of requests that name none. */
  private namelessBlocks = 0;

  constructor(facts: InstanceFacts, bounds: { blockTokens: number }) {
    this.facts = facts;
    this.index = new PrefixIndex(Math.floor(facts.kvTokens / bounds.blockTokens));
  }

  /** Tokens of this prompt that the instance would have to compute, at least 1. */
  uncachedTokens(request: ArrivedRequest): number {
    const cached = this.index.match(request.blocks) * request.blockTokens;
    return Math.max(1, request.inputTokens - cached);
  }

  /** Blocks that requests without an end would hold there with this one. */
  blocksWith(request: ArrivedRequest): number {
    const now = this.activeBlocks.size + this.namelessBlocks;
    if (request.blocks.length === 0) return now + blocksOf(request);
    return now + request.blocks.filter((block) => !this.activeBlocks.has(block)).length;
  }

  dispatch(request: ArrivedRequest): Dispatched {
    const uncachedTokens = this.uncachedTokens(request);
    this.inFlight += 1;
    this.inputTokens += request.inputTokens;
    this.pendingTokens += uncachedTokens;
    this.index.sent(request.blocks);
    this.countBlocks(request, 1);
    return { request, account: this, uncachedTokens, phase: 'prefill' };
  }

  firstByte(dispatched: Dispatched): void {
    if (dispatched.phase === 'decode') return;
    dispatched.phase = 'decode';
    this.pendingTokens -= dispatched.uncachedTokens;
  }

  end(dispatched: Dispatched): void {
    this.firstByte(dispatched);
    this.inFlight -= 1;
    this.inputTokens -= dispatched.request.inputTokens;
    this.countBlocks(dispatched.request, -1);
  }

  private countBlocks(request: ArrivedRequest, by: 1 | -1): void {
    if (request.blocks.length === 0) this.namelessBlocks += by * blocksOf(request);
    for (const block of request.blocks) {
      const count = (this.activeBlocks.get(block) ?? 0) + by;
      if (count === 0) this.activeBlocks.delete(block);
      else this.activeBlocks.set(block, count);
    }
  }
}

function blocksOf({ inputTokens, blockTokens }: ArrivedRequest): number {
  return Math.ceil(inputTokens / blockTokens);
}
