/**
 * The server's nonces for enrolment and refresh: each good for 60 s and for one use, so that a
 * recorded call is worth nothing.
 *
 * Invariants
 * N1 A nonce is taken at most once, whatever becomes of the call that brought it.
 * N2 Memory is bounded in all and per network; one network's flood makes only its own nonces give
 *    way until the whole is full.
 */
import type { Clock } from '../../lib/clock.ts';
import { toBase64url } from '../../lib/crypto/hashing.ts';
import { networkOf } from '../../lib/network/networkOf.ts';
import type { Random } from '../../lib/random.ts';
import { nonceLifetimeMs, noncesWaiting, noncesWaitingPerAddress } from '../limits.ts';

export interface Nonces {
  /** A new nonce for a client at `address`. */
  issue(address: string): { nonce: string; expiresInMs: number };
  /** N1: true for the first call with a nonce that is still good. */
  take(nonce: string): boolean;
  /** Nonces that wait to be used. */
  size(): number;
}

interface Waiting {
  network: string;
  /** On the monotonic clock, in ms. */
  expiresAtMs: number;
}

export function createNonces(options: { clock: Clock; random: Random }): Nonces {
  const { clock, random } = options;
  // Both in order of issue, which is the order of expiry.
  const waiting = new Map<string, Waiting>();
  const byNetwork = new Map<string, Set<string>>();

  const forget = (nonce: string): Waiting | undefined => {
    const entry = waiting.get(nonce);
    if (entry === undefined) return undefined;
    waiting.delete(nonce);
    const siblings = byNetwork.get(entry.network);
    siblings?.delete(nonce);
    if (siblings?.size === 0) byNetwork.delete(entry.network);
    return entry;
  };
  const forgetExpired = (nowMs: number): void => {
    for (const [nonce, entry] of waiting) {
      if (entry.expiresAtMs > nowMs) return;
      forget(nonce);
    }
  };

  return {
    issue(address) {
      const nowMs = clock.monotonic();
      forgetExpired(nowMs);
      const network = networkOf(address);
      const siblings = byNetwork.get(network) ?? new Set<string>();
      if (siblings.size >= noncesWaitingPerAddress) forget(first(siblings));
      if (waiting.size >= noncesWaiting) forget(first(waiting));
      const nonce = toBase64url(random.bytes(24));
      waiting.set(nonce, { network, expiresAtMs: nowMs + nonceLifetimeMs });
      byNetwork.set(network, siblings.add(nonce));
      return { nonce, expiresInMs: nonceLifetimeMs };
    },
    take(nonce) {
      const entry = forget(nonce);
      return entry !== undefined && entry.expiresAtMs > clock.monotonic();
    },
    size: () => waiting.size,
  };
}

function first(names: { keys(): Iterator<string> }): string {
  return names.keys().next().value as string;
}
