/**
 * When those who wait for a limit of requests that run at once may go on: as those that run end.
 * They are taken to run for as long as others of the account did lately, under the same load and
 * with such answers; until one has ended, for as long as is predicted of each. Asked for by those
 * who look, and kept for a while by them.
 */
import type { ProjectAccount } from '../quotas/projectAccount.ts';
import { isKept, type Claim, type WaitingRequest } from '../scheduler/schedulerState.ts';

/** How one account's running requests make room. */
export interface Turnover {
  /** When they end, the first one first, ms as in events. */
  endsAtMs: readonly number[];
  /** How long one runs. */
  holdMs: number;
  /** Place in line of those that it holds back, from 1. */
  line: ReadonlyMap<WaitingRequest, number>;
}

/** Null: none runs, or nothing is known of how long they take. */
export function turnoverOf(account: ProjectAccount, nowMs: number): Turnover | null {
  const endsAtMs: number[] = [];
  let sumMs = 0;
  for (const claim of account.claims) {
    // Nobody knows when it goes on; the end of its slot makes no room.
    if (isKept(claim)) continue;
    const holdMs = account.serviceMs > 0 ? account.serviceMs : foreseenMs(claim, nowMs);
    if (holdMs === null) continue;
    sumMs += holdMs;
    const endMs = claim.phase === 'over' ? nowMs : claim.startedAtMs + holdMs;
    // What runs for longer than was foreseen may do so for as long again.
    endsAtMs.push(Math.abs(endMs - nowMs) + nowMs);
  }
  if (endsAtMs.length === 0) return null;
  endsAtMs.sort((one, other) => one - other);
  const line = new Map<WaitingRequest, number>();
  const heldBack = [...account.heldBack].sort((one, other) => one.order - other.order);
  for (const waiting of heldBack) line.set(waiting, line.size + 1);
  return { endsAtMs, holdMs: sumMs / endsAtMs.length, line };
}

/** In how many ms the n-th in line may go on. */
export function turnInMs({ endsAtMs, holdMs }: Turnover, place: number, nowMs: number): number {
  const ahead = place - 1;
  const rounds = Math.floor(ahead / endsAtMs.length);
  const endMs = endsAtMs[ahead % endsAtMs.length] ?? nowMs;
  return Math.max(0, endMs + rounds * holdMs - nowMs);
}

/** How long a claim keeps its slot in all, where none of its account has ended; null: who knows. */
function foreseenMs({ instance, placed: { work } }: Claim, nowMs: number): number | null {
  const { load, pools } = instance;
  const { firstByteAtMs, dispatchedAtMs, answer } = work;
  const tpotMs = load.model.tpotMs(load.loadFor({ prompt: 0, own: 0 }, nowMs));
  const ttftMs =
    firstByteAtMs === null ? load.model.ttftMs(work.load) : firstByteAtMs - dispatchedAtMs;
  if (tpotMs !== null && ttftMs !== null) return ttftMs + tpotMs * answer;
  const serviceMs = Math.max(0, ...pools.map((pool) => pool.serviceMs));
  return serviceMs > 0 ? serviceMs : null;
}
