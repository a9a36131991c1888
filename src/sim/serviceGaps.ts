/**
 * How unevenly tenants were served: for two tenants over every stretch of time in which both always
 * wait, how far their service moved apart. Service is counted where it happens: a prompt when an
 * engine begins it (uncached × 1, cached × 0.25), an answer when it ends (output × 2).
 */
import { maxGapTenants } from './limits.ts';

interface Range {
  least: number;
  most: number;
}

export class ServiceGaps {
  private readonly service = new Map<string, number>();
  /** Requests of each tenant that no engine has begun. */
  private readonly waiting = new Map<string, number>();
  /** Of two that wait, in the order of their names: how their difference has ranged since then. */
  private readonly ranges = new Map<string, Map<string, Range>>();
  private readonly gaps = new Map<string, number>();
  private readonly counted: boolean;

  constructor(tenants: number) {
    this.counted = tenants > 1 && tenants <= maxGapTenants;
  }

  /** The largest one of a tenant with any other, in weighted tokens; null: too many to count. */
  gapOf(tenant: string): number | null {
    return this.gaps.get(tenant) ?? (this.counted || this.service.size < 2 ? 0 : null);
  }

  /** A request of the tenant waits. */
  waits(tenant: string): void {
    const before = this.waiting.get(tenant) ?? 0;
    this.waiting.set(tenant, before + 1);
    if (before > 0 || !this.counted) return;
    for (const other of this.waiting.keys()) if (other !== tenant) this.widen(tenant, other);
  }

  /** One of them waits no longer. */
  waitsNot(tenant: string): void {
    const left = (this.waiting.get(tenant) ?? 0) - 1;
    if (left > 0) this.waiting.set(tenant, left);
    else {
      this.waiting.delete(tenant);
      this.ranges.delete(tenant);
      for (const others of this.ranges.values()) others.delete(tenant);
    }
  }

  served(tenant: string, tokens: { uncached?: number; cached?: number; output?: number }): void {
    const { uncached = 0, cached = 0, output = 0 } = tokens;
    const sum = (this.service.get(tenant) ?? 0) + uncached + 0.25 * cached + 2 * output;
    this.service.set(tenant, sum);
    if (!this.counted || !this.waiting.has(tenant)) return;
    for (const other of this.waiting.keys()) if (other !== tenant) this.widen(tenant, other);
  }

  private widen(tenant: string, other: string): void {
    const [one, two] = tenant < other ? [tenant, other] : [other, tenant];
    const apart = (this.service.get(one) ?? 0) - (this.service.get(two) ?? 0);
    const others = this.ranges.get(one) ?? new Map<string, Range>();
    this.ranges.set(one, others);
    const range = others.get(two) ?? { least: apart, most: apart };
    others.set(two, range);
    range.least = Math.min(range.least, apart);
    range.most = Math.max(range.most, apart);
    const gap = range.most - range.least;
    for (const each of [one, two]) this.gaps.set(each, Math.max(this.gaps.get(each) ?? 0, gap));
  }
}
