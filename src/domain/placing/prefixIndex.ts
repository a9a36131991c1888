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
 * X2 What is taken back leaves what others brought, before it and since, as if it had never been.
 */
import { maxBlockHolders, maxPrefixBlocks, maxPrefixBlocksInScope } from '../scheduler/limits.ts';

/** What was written to one instance, in blocks, and how much of it the engine seems to keep. */
export interface CacheAccount {
  written: number;
  /** Prompts that were sent there and not taken back. */
  sent: number;
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
  sent: 0,
  capacity: Infinity,
  early: firstEarly,
});

/** One use of blocks by one prompt on one instance. */
interface Use {
  /** What had been written there by then. */
  at: number;
  /** A request that brought them is over. */
  isSettled: boolean;
  /** The same, settled; null: nobody asked for it. */
  settled: Use | null;
  /** The prompt never ran, after all: it is as if this had not been. */
  takenBack: Sent | null;
}

/** A prompt that was sent to an instance, and how to take that back. */
export interface Sent {
  account: CacheAccount;
  prompt: ScopedPrompt;
  /** Which one it was there. */
  number: number;
  /** Blocks that it wrote. */
  wrote: number;
  /** Its use of blocks that were not settled there, and of those that were. */
  first: Use;
  again: Use;
  /** From which of its blocks on the last use before it was which. */
  before: { from: number; use: Use | undefined }[];
}

/** Instances that have a block, each with its last use of it. */
interface Block {
  holders: CacheAccount[];
  uses: Use[];
  /** There were more of them than are remembered. */
  isCrowded: boolean;
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
    // Most of those who are asked have nothing of it: then they do not have its first block. (That
    // of a prompt across two generations goes before the rest of it does, which is of no use then.)
    const head = find(scope, first);
    if (head === undefined) return nothingHeld;
    if (!head.isCrowded && !head.holders.includes(account)) return nothingHeld;
    const blockAt = (count: number): Block | undefined => find(scope, blocks[count - 1]);
    const useAt = (count: number): Use | undefined => useOf(blockAt(count), account);
    const ageAt = (count: number): number => ageOf(useAt(count), account);
    // Whoever has a block has those before it: they were used in the same moment. A block that had
    // more holders than are remembered does not say who else has it.
    const isUnknown = (count: number): boolean =>
      ageAt(count) === Infinity && blockAt(count)?.isCrowded === true;
    const hasAt = (count: number): boolean => ageAt(count) < Infinity;
    const reach = lastWhere(blocks.length, (count) => hasAt(count) || isUnknown(count));
    const known = hasAt(reach) ? reach : lastWhere(reach, hasAt);
    if (known === 0) return nothingHeld;
    const age = ageAt(known);
    const { capacity, early } = account;
    const isKept = (count: number): boolean => ageAt(count) <= capacity || isUnknown(count);
    const sent = age <= capacity ? known : lastWhere(known, isKept);
    const settled = isUnderWay(useAt(sent))
      ? lastWhere(sent, (count) => !isUnderWay(useAt(count)))
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
    for (const { holders, uses } of known.toReversed()) {
      for (const [place, account] of holders.entries()) {
        if (ageOf(uses[place], account) <= account.capacity) found.add(account);
      }
    }
    return found;
  }

  /** A prompt is sent to an instance. Blocks that it did not have are written there. */
  sent(account: CacheAccount, prompt: ScopedPrompt): Sent {
    const { blocks } = prompt;
    const wrote = blocks.length - this.held(account, prompt).blocks;
    account.written += wrote;
    account.sent += 1;
    const { written: at, sent: number } = account;
    const sent: Sent = {
      account,
      prompt,
      number,
      wrote,
      first: { at, isSettled: false, settled: null, takenBack: null },
      again: { at, isSettled: true, settled: null, takenBack: null },
      before: [],
    };
    if (blocks.length === 0) return sent;
    const scope = this.scopeOf(prompt.scope);
    const before = sizeOf(scope);
    for (const [from, hash] of blocks.entries()) {
      const last = hold(blockToUse(scope, hash), sent);
      const isOwn = last === sent.first || last === sent.again;
      if (!isOwn) noteFrom(sent.before, from, last);
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
    return sent;
  }

  /** X2. It is certain that the prompt never ran there: its engine was not given it. */
  takeBack(sent: Sent): void {
    const { account, prompt, first, again } = sent;
    first.takenBack = sent;
    again.takenBack = sent;
    // Others lead to what was before it through this one, which leads to nobody that is gone: where
    // each is taken back while the next one is under way, all of them would be kept for ever.
    const standing: Sent['before'] = [];
    for (const at of prompt.blocks.keys()) noteFrom(standing, at, useBefore(sent, at));
    sent.before = standing;
    // What came since was reckoned from what this one had written.
    if (account.sent === sent.number) {
      account.sent -= 1;
      account.written -= sent.wrote;
    }
    const scope = this.scopes.get(prompt.scope);
    if (scope === undefined) return;
    for (const [at, hash] of prompt.blocks.entries()) {
      const block = find(scope, hash);
      const place = block?.holders.indexOf(account) ?? -1;
      const use = block?.uses[place];
      if (block === undefined || (use !== first && use !== again)) continue;
      const before = lastBefore(sent, at);
      if (before !== undefined) block.uses[place] = before;
      else this.removeHolder({ scope, hash, block, place });
    }
  }

  private removeHolder(of: { scope: Scope; hash: number; block: Block; place: number }): void {
    const { scope, hash, block, place } = of;
    block.holders.splice(place, 1);
    block.uses.splice(place, 1);
    if (block.holders.length > 0) return;
    if (scope.young.delete(hash) || scope.old.delete(hash)) this.blocks -= 1;
  }

  /** A request that was sent there is over: from now on it certainly has its blocks. */
  settled(account: CacheAccount, { scope: key, blocks }: ScopedPrompt): void {
    const scope = this.scopes.get(key);
    if (scope === undefined) return;
    for (let at = blocks.length - 1; at >= 0; at -= 1) {
      const block = find(scope, blocks[at]);
      const place = block?.holders.indexOf(account) ?? -1;
      const use = block?.uses[place];
      if (block === undefined || use === undefined) continue;
      // Those before it were settled with it.
      if (use.isSettled) return;
      use.settled ??= { at: use.at, isSettled: true, settled: null, takenBack: null };
      block.uses[place] = use.settled;
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
function blockToUse(scope: Scope, hash: number): Block {
  const young = scope.young.get(hash);
  if (young !== undefined) return young;
  const block = scope.old.get(hash) ?? { holders: [], uses: [], isCrowded: false };
  scope.old.delete(hash);
  scope.young.set(hash, block);
  return block;
}

/** Gives the last use of it by the same instance. */
function hold(block: Block, { account, first, again }: Sent): Use | undefined {
  const { holders, uses } = block;
  const known = holders.indexOf(account);
  const last = uses[known];
  if (last !== undefined) {
    const isKept = last.isSettled && ageOf(last, account) <= account.capacity;
    uses[known] = isKept ? again : first;
    return last;
  }
  if (holders.length >= maxBlockHolders) {
    holders.shift();
    uses.shift();
    block.isCrowded = true;
  }
  holders.push(account);
  uses.push(first);
  return undefined;
}

/** The same use of the blocks from there on, until another is noted. */
function noteFrom(uses: Sent['before'], from: number, use: Use | undefined): void {
  if (from === 0 || use !== uses.at(-1)?.use) uses.push({ from, use });
}

/**
 * The last use of one of its blocks that was before it and that stands. All that are passed over
 * were under way at once: each was taken back before the one that it leads to.
 */
function useBefore(sent: Sent, at: number): Use | undefined {
  let use = lastBefore(sent, at);
  while (use !== undefined && use.takenBack !== null) use = lastBefore(use.takenBack, at);
  return use;
}

const lastBefore = ({ before }: Sent, at: number): Use | undefined =>
  before.findLast(({ from }) => from <= at)?.use;

const isUnderWay = (use: Use | undefined): boolean => use?.isSettled === false;

function useOf(block: Block | undefined, account: CacheAccount): Use | undefined {
  return block?.uses[block.holders.indexOf(account)];
}

/** What was settled while a prompt that never ran was its last use may be ahead of its account. */
const ageOf = (use: Use | undefined, account: CacheAccount): number =>
  use === undefined ? Infinity : Math.max(0, account.written - use.at);

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
