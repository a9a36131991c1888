/**
 * Every claim, from the dispatch until its slot is free, and the one that each running request
 * depends on.
 */
import { addTo } from '../../lib/addTo.ts';
import { SteadyMap } from '../../lib/memory/steadyMap.ts';
import type { Claim } from './schedulerState.ts';

export class ClaimBook {
  private readonly claims = new SteadyMap<number, Claim>();
  /** By request. */
  private readonly served = new SteadyMap<string, Claim>();
  private readonly perEndpoint = new Map<string, number>();
  private lastId = 0;

  /** Requests that run. */
  get running(): number {
    return this.served.size;
  }

  runningOf(endpointId: string): number {
    return this.perEndpoint.get(endpointId) ?? 0;
  }

  nextId(): number {
    this.lastId += 1;
    return this.lastId;
  }

  add(claim: Claim): void {
    this.claims.set(claim.id, claim);
  }

  /** Its slot is free. */
  delete({ id }: Claim): void {
    this.claims.delete(id);
  }

  /** Undefined: its slot is free, or there never was such a claim. */
  get(id: number): Claim | undefined {
    return this.claims.get(id);
  }

  has(id: number): boolean {
    return this.claims.has(id);
  }

  /** Undefined also when its request has left it. */
  serving(id: number): Claim | undefined {
    const claim = this.claims.get(id);
    return claim?.phase === 'over' ? undefined : claim;
  }

  all(): readonly Claim[] {
    return this.claims.values();
  }

  servingAll(): readonly Claim[] {
    return this.served.values();
  }

  /** A request runs from now on, by this claim. */
  begin(claim: Claim): void {
    const { request } = claim.waiting;
    this.served.set(request.id, claim);
    addTo(this.perEndpoint, { key: request.endpoint.id, by: 1 });
  }

  /** Of two claims of a request one goes, in vain, and it depends on the other from now on. */
  drop(claim: Claim, other: Claim): void {
    claim.twin = null;
    other.twin = null;
    claim.phase = 'over';
    claim.spent = 'nothing';
    this.served.set(other.waiting.request.id, other);
  }

  /** Takes the request from its claim. The slot stays held until `delete`. */
  detach(claim: Claim, spent: Claim['spent']): void {
    claim.phase = 'over';
    claim.spent = spent;
    const { request } = claim.waiting;
    this.served.delete(request.id);
    addTo(this.perEndpoint, { key: request.endpoint.id, by: -1 });
  }
}
