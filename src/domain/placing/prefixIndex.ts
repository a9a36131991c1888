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
  /**
   * The part that was found of blocks whose first request was still under way: some engines share
   * them as soon as they are computed, others when that request is over.
   */
  early: number;
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
  /** Leading blocks that it should have: the settled ones, and a part of those under way. */
  blocks: number;
  /** Leading blocks of requests that are over. */
  settled: number;
  /** Leading blocks that were sent there, under way or over. */
  sent: number;
  /** Written there since it last used the last of the blocks that it ever had; `Infinity`: none. */
  age: number;
}

/** Nothing was written yet. */
export const newCacheAccount = (): CacheAccount => ({
  written: 0,
  capacity: Infinity,
  early: firstEarly,
});

/**
 * Instances that have a block, with what had been written there when it was last used: below zero
 * by one more (`underWay`) while no request that brought it is over.
 */
interface Block {
  holders: CacheAccount[];
  stamps: number[];
}

interface Scope {
  young: Map<number, Block>;
  old: Map<number, Block>;
}

export const nothingHeld: Held = { blocks: 0, settled: 0, sent: 0, age: Infinity };

/** One report moves a capacity no further than this. */
const shrink = 0.8;
const grow = 1.25;
/** Before any report, and the weight of the newest one. */
const firstEarly = 0.5;
const newestWeight = 0.1;

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
    const blockAt = (count: number): Block | undefined => find(scope, blocks[count - 1]);
    const stampAt = (count: number): number | undefined => stampOf(blockAt(count), account);
    const ageAt = (count: number): number => ageOf(stampAt(count), account);
    // Whoever has a block has those before it: they were used in the same moment. A block that has
    // as many holders as are remembered does not say who else has it.
    const isUnknown = (count: number): boolean =>
      ageAt(count) === Infinity && (blockAt(count)?.holders.length ?? 0) >= maxBlockHolders;
    const hasAt = (count: number): boolean => ageAt(count) < Infinity;
    const reach = lastWhere(blocks.length, (count) => hasAt(count) || isUnknown(count));
    const known = hasAt(reach) ? reach : lastWhere(reach, hasAt);
    if (known === 0) return nothingHeld;
    const age = ageAt(known);
    const { capacity, early } = account;
    const isKept = (count: number): boolean => ageAt(count) <= capacity || isUnknown(count);
    const sent = age <= capacity ? known : lastWhere(known, isKept);
    const settled = isUnderWay(stampAt(sent))
      ? lastWhere(sent, (count) => !isUnderWay(stampAt(count)))
      : sent;
    return { blocks: settled + Math.floor((sent - settled) * early), settled, sent, age };
  }

  /** Instances that should have at least one of its blocks, those with most of them first. */
  holders(prompt: ScopedPrompt): ReadonlySet<CacheAccount> {
    const found = new Set<CacheAccount>();
    const scope = this.scopes.get(prompt.scope);
    if (scope === undefined) return found;
    const known: Block[] = [];
    for (const hash of prompt.blocks) {
      const block = find(scope, hash);
      if (block === undefined) break;
      known.push(block);
    }
    for (const { holders, stamps } of known.toReversed()) {
      for (const [place, account] of holders.entries()) {
        if (ageOf(stamps[place], account) <= account.capacity) found.add(account);
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

  /** A request that was sent there is over: from now on it certainly has its blocks. */
  settled(account: CacheAccount, { scope: key, blocks }: ScopedPrompt): void {
    const scope = this.scopes.get(key);
    if (scope === undefined) return;
    for (let at = blocks.length - 1; at >= 0; at -= 1) {
      const block = find(scope, blocks[at]);
      const place = block?.holders.indexOf(account) ?? -1;
      const stamp = block?.stamps[place];
      if (block === undefined || stamp === undefined) continue;
      // Those before it were settled with it.
      if (!isUnderWay(stamp)) return;
      block.stamps[place] = underWay(stamp);
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
  const { age, settled, sent } = expected;
  if (age === Infinity) return;
  if (settled > 0 && reported < settled / 2) {
    // Something else may have gone wrong: no single report says much.
    const from = Math.min(account.capacity, account.written);
    account.capacity = Math.max(1, age * shrink, from * shrink);
    return;
  }
  if (reported > 0 && age > account.capacity / 2) account.capacity *= grow;
  if (sent === settled) return;
  const found = Math.min(1, Math.max(0, (reported - settled) / (sent - settled)));
  account.early += newestWeight * (found - account.early);
}

const sizeOf = ({ young, old }: Scope): number => young.size + old.size;

function find(scope: Scope, hash: number | undefined): Block | undefined {
  if (hash === undefined) return undefined;
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
    const stamp = stamps[known];
    const isKept = !isUnderWay(stamp) && ageOf(stamp, account) <= account.capacity;
    stamps[known] = isKept ? account.written : underWay(account.written);
    return;
  }
  if (holders.length >= maxBlockHolders) {
    holders.shift();
    stamps.shift();
  }
  holders.push(account);
  stamps.push(underWay(account.written));
}

/** Its own inverse. */
const underWay = (stamp: number): number => -1 - stamp;
const isUnderWay = (stamp: number | undefined): boolean => stamp !== undefined && stamp < 0;

function stampOf(block: Block | undefined, account: CacheAccount): number | undefined {
  return block?.stamps[block.holders.indexOf(account)];
}

function ageOf(stamp: number | undefined, account: CacheAccount): number {
  if (stamp === undefined) return Infinity;
  return account.written - (stamp < 0 ? underWay(stamp) : stamp);
}

/** How many leading ones pass, where one that fails is followed by such only. */
function lastWhere(among: number, passes: (count: number) => boolean): number {
  let [passing, failing] = [0, among + 1];
  while (failing - passing > 1) {
    const middle = (passing + failing) >> 1;
    if (passes(middle)) passing = middle;
    else failing = middle;
  }
  return passing;
}
