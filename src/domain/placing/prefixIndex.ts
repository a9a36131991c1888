/**
 * What is cached where, as far as the router knows: the blocks of the prompts that it sent to each
 * engine instance, by (project, model digest). One project never learns from what another one sent.
 *
 * A block counts as held by an instance until as much as the engine's capacity was written there
 * after its last use. The capacity is learned from reported cached tokens. Blocks of a scope live
 * in two generations; when the younger is full it becomes the older, and what was in that is gone.
 *
 * Invariants
 * S6 Scopes, blocks of a scope, blocks in all and holders of a block are bounded.
 * X1 What a scope knows is found by that scope only.
 */
import { maxBlockHolders, maxPrefixBlocks, maxPrefixBlocksInScope } from '../scheduler/limits.ts';

/** What was written to one instance, in blocks, and how much of it the engine seems to keep. */
export interface CacheAccount {
  written: number;
  /** `Infinity` until something that was expected was not there. */
  capacity: number;
}

/** A prompt as the index sees it. */
export interface ScopedPrompt {
  /** (project, model digest). */
  scope: string;
  /** Hashes, each over its block and all before it. */
  blocks: readonly number[];
}

/** What an instance has of a prompt. Blocks. */
export interface Held {
  /** Leading blocks that it should have. */
  blocks: number;
  /** Written there since it last used the last of the blocks that it ever had; `Infinity`: none. */
  age: number;
}

/** Nothing was written yet. */
export const newCacheAccount = (): CacheAccount => ({ written: 0, capacity: Infinity });

/** Instances that have a block, with what had been written there when it was last used. */
interface Block {
  holders: CacheAccount[];
  stamps: number[];
}

interface Scope {
  young: Map<number, Block>;
  old: Map<number, Block>;
}

export const nothingHeld: Held = { blocks: 0, age: Infinity };

/** One report moves a capacity no further than this. */
const shrink = 0.8;
const grow = 1.25;

export class PrefixIndex {
  /** The latest used stands last. */
  private readonly scopes = new Map<string, Scope>();
  private readonly maxInScope: number;
  private readonly maxBlocks: number;
  private blocks = 0;

  constructor(bounds: { maxInScope?: number; maxBlocks?: number } = {}) {
    this.maxInScope = bounds.maxInScope ?? maxPrefixBlocksInScope;
    this.maxBlocks = bounds.maxBlocks ?? maxPrefixBlocks;
  }

  /** Blocks that are known, of all scopes. */
  get size(): number {
    return this.blocks;
  }

  /** What this instance has of a prompt. */
  held(account: CacheAccount, { scope: key, blocks }: ScopedPrompt): Held {
    const scope = this.scopes.get(key);
    const [first] = blocks;
    if (scope === undefined || first === undefined) return nothingHeld;
    if (ageOf(find(scope, first), account) === Infinity) return nothingHeld;
    // Whoever has a block has those before it: they were used in the same moment.
    const known = lastWhere(blocks, (hash) => ageOf(find(scope, hash), account) < Infinity);
    const last = blocks[known - 1];
    if (last === undefined) return nothingHeld;
    const age = ageOf(find(scope, last), account);
    if (age <= account.capacity) return { blocks: known, age };
    const kept = lastWhere(
      blocks.slice(0, known),
      (hash) => ageOf(find(scope, hash), account) <= account.capacity,
    );
    return { blocks: kept, age };
  }

  /** The leading blocks of every instance that should have at least one of them. */
  holders({ scope: key, blocks }: ScopedPrompt): Map<CacheAccount, number> {
    const found = new Map<CacheAccount, number>();
    const scope = this.scopes.get(key);
    if (scope === undefined) return found;
    const known: Block[] = [];
    for (const hash of blocks) {
      const block = find(scope, hash);
      if (block === undefined) break;
      known.push(block);
    }
    for (let count = known.length; count > 0; count -= 1) {
      const { holders, stamps } = known[count - 1] as Block;
      for (const [place, account] of holders.entries()) {
        if (found.has(account)) continue;
        if (account.written - (stamps[place] ?? 0) <= account.capacity) found.set(account, count);
      }
    }
    return found;
  }

  /** A prompt is sent to an instance. Blocks that it did not have are written there. */
  sent(account: CacheAccount, prompt: ScopedPrompt): void {
    const { blocks } = prompt;
    if (blocks.length === 0) return;
    account.written += blocks.length - this.held(account, prompt).blocks;
    const scope = this.scopeOf(prompt.scope);
    const before = sizeOf(scope);
    for (const hash of blocks) {
      hold(use(scope, hash), account);
      if (scope.young.size < this.maxInScope / 2) continue;
      scope.old = scope.young;
      scope.young = new Map();
    }
    this.blocks += sizeOf(scope) - before;
    for (const [key, oldest] of this.scopes) {
      if (this.blocks <= this.maxBlocks || oldest === scope) break;
      this.blocks -= sizeOf(oldest);
      this.scopes.delete(key);
    }
  }

  /** Something else was written there: an answer, or a prompt of which no blocks are known. */
  wrote(account: CacheAccount, blocks: number): void {
    if (blocks > 0 && Number.isFinite(blocks)) account.written += blocks;
  }

  private scopeOf(key: string): Scope {
    const scope = this.scopes.get(key) ?? { young: new Map(), old: new Map() };
    this.scopes.delete(key);
    this.scopes.set(key, scope);
    return scope;
  }
}

/** Takes in what an engine says that it had of a prompt, in blocks, against what was expected. */
export function correctCapacity(
  account: CacheAccount,
  { expected, reported }: { expected: Held; reported: number },
): void {
  const { age } = expected;
  if (age === Infinity) return;
  if (expected.blocks > 0 && reported < expected.blocks / 2) {
    // It may also be that the one before it, which was to leave it there, was not ready yet: no
    // single report says much.
    const from = Math.min(account.capacity, account.written);
    account.capacity = Math.max(1, age * shrink, from * shrink);
  } else if (reported > 0 && age > account.capacity / 2) account.capacity *= grow;
}

const sizeOf = ({ young, old }: Scope): number => young.size + old.size;

function find(scope: Scope, hash: number): Block | undefined {
  return scope.young.get(hash) ?? scope.old.get(hash);
}

/** The block, made or brought into the younger generation. */
function use(scope: Scope, hash: number): Block {
  const young = scope.young.get(hash);
  if (young !== undefined) return young;
  const block = scope.old.get(hash) ?? { holders: [], stamps: [] };
  scope.old.delete(hash);
  scope.young.set(hash, block);
  return block;
}

function hold({ holders, stamps }: Block, account: CacheAccount): void {
  const known = holders.indexOf(account);
  if (known !== -1) {
    stamps[known] = account.written;
    return;
  }
  if (holders.length >= maxBlockHolders) {
    holders.shift();
    stamps.shift();
  }
  holders.push(account);
  stamps.push(account.written);
}

function ageOf(block: Block | undefined, account: CacheAccount): number {
  const place = block?.holders.indexOf(account) ?? -1;
  return place === -1 ? Infinity : account.written - (block?.stamps[place] ?? 0);
}

/** How many leading ones pass, where one that fails is followed by such only. */
function lastWhere(hashes: readonly number[], passes: (hash: number) => boolean): number {
  let [passing, failing] = [0, hashes.length + 1];
  while (failing - passing > 1) {
    const middle = (passing + failing) >> 1;
    if (passes(hashes[middle - 1] ?? 0)) passing = middle;
    else failing = middle;
  }
  return passing;
}
