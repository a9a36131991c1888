/**
 * Token buckets by client address, for what anybody may call without a key. One map, bounded: the
 * address that was quiet longest is forgotten first. No timers; a bucket is brought up to date when
 * it is looked at.
 */
import type { Clock } from '../../lib/clock.ts';
import { networkOf } from '../../lib/network/networkOf.ts';
import type { AddressLimit } from '../limits.ts';

interface Bucket {
  tokens: number;
  atMs: number;
}

export type Admission = { ok: true } | { ok: false; retryAfterMs: number };

export class AddressLimiter {
  private readonly buckets = new Map<string, Bucket>();
  private readonly clock: Clock;
  private readonly limit: AddressLimit;
  private readonly maxAddresses: number;

  constructor(options: { clock: Clock; limit: AddressLimit; maxAddresses: number }) {
    this.clock = options.clock;
    this.limit = options.limit;
    this.maxAddresses = options.maxAddresses;
  }

  /** Takes one token of the address, or says in how many ms there will be one. */
  take(address: string): Admission {
    const key = networkOf(address);
    const nowMs = this.clock.monotonic();
    const known = this.buckets.get(key);
    const earned = known === undefined ? 0 : ((nowMs - known.atMs) / 1000) * this.limit.perSecond;
    const tokens = Math.min(this.limit.burst, (known?.tokens ?? this.limit.burst) + earned);
    const ok = tokens >= 1;
    this.remember(key, { tokens: ok ? tokens - 1 : tokens, atMs: nowMs });
    if (ok) return { ok: true };
    return { ok: false, retryAfterMs: Math.ceil(((1 - tokens) / this.limit.perSecond) * 1000) };
  }

  /** Addresses that are remembered now. */
  get size(): number {
    return this.buckets.size;
  }

  private remember(key: string, bucket: Bucket): void {
    // A map keeps the order of insertion: what was touched last stands last.
    this.buckets.delete(key);
    this.buckets.set(key, bucket);
    if (this.buckets.size <= this.maxAddresses) return;
    const oldest = this.buckets.keys().next();
    if (oldest.done !== true) this.buckets.delete(oldest.value);
  }
}
