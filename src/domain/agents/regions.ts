/**
 * How near an agent is to where a request belongs: by the operator's map where it names one of the
 * two regions, else by what was measured on the agents' links.
 *
 * What is measured are round trips between agents and this router. Two regions are near one another
 * when the way from the one over the router to the other is short enough: it is never shorter than
 * the way between them.
 */
import { sameRegion } from '../../lib/text/slug.ts';
import { emptyRegionMap, NearRegions, type Nearness, type RegionMap } from './regionMap.ts';

/** Round trips that add up to no more, in ms, are near: what a near region costs in the score. */
export const nearRttMs = 25;
/** Regions whose round trip is remembered where nobody is linked any more, once for each owner. */
const maxMeasured = 10_000;

/** Of whose agent a round trip was measured. */
export interface Measured {
  id: string;
  /** Null: it is shared. */
  projectId: string | null;
  region: string;
}

/** Where a request belongs. */
export interface Origin {
  region: string;
  projectId: string;
}

/** Agents of one owner in one region. */
interface Nearest {
  /** Of those that are linked, in ms. */
  rttMs: Map<string, number>;
  /** The least of them, or the last one of those that were there. */
  leastMs: number;
}

export interface Placed {
  entry: { region: string };
  /** Null: it was not measured yet. */
  rttMs: number | null;
}

export class Regions {
  private near = new NearRegions(emptyRegionMap);
  /** The router's own, for requests whose caller and endpoint name none. */
  readonly own: string;
  /**
   * By owner and region in small letters. What a project's agents say of a region, which is a word
   * of their own, holds for its own requests; what shared ones say, for everybody's.
   */
  private readonly measured = new Map<string, Nearest>();

  constructor(own: string) {
    this.own = own;
  }

  /** The operator's. */
  set map(map: RegionMap) {
    this.near = new NearRegions(map);
  }

  /** The round trip to an agent that is linked, in ms; in place of an earlier one. */
  note(agent: Measured, rttMs: number): void {
    const key = keyOf(agent.projectId, agent.region);
    const known = this.measured.get(key) ?? { rttMs: new Map<string, number>(), leastMs: rttMs };
    // Whoever was heard of last is forgotten last.
    this.measured.delete(key);
    this.measured.set(key, known);
    const before = known.rttMs.get(agent.id);
    known.rttMs.set(agent.id, rttMs);
    if (rttMs <= known.leastMs) known.leastMs = rttMs;
    else if (known.rttMs.size === 1 || before === known.leastMs) known.leastMs = leastOf(known);
    if (this.measured.size > maxMeasured) this.forgetOne();
  }

  /** One that nobody is linked in; of the others there are no more than agents. */
  private forgetOne(): void {
    for (const [key, { rttMs }] of this.measured) {
      if (rttMs.size > 0) continue;
      this.measured.delete(key);
      return;
    }
  }

  /** It is not linked any more. A region that nobody is left in stays where it was. */
  left(agent: Measured): void {
    const known = this.measured.get(keyOf(agent.projectId, agent.region));
    if (known === undefined) return;
    const rttMs = known.rttMs.get(agent.id);
    known.rttMs.delete(agent.id);
    if (known.rttMs.size > 0 && rttMs === known.leastMs) known.leastMs = leastOf(known);
  }

  /** Of an agent to the region of a request. */
  nearness(from: Origin, agent: Placed): Nearness {
    return this.nearnessFrom(from)(agent);
  }

  /** The same for many agents one after the other, of whom most stand in one region. */
  nearnessFrom(from: Origin): (agent: Placed) => Nearness {
    const thereMs = this.rttMsTo(from);
    let last: string | undefined;
    let said: Nearness | null = null;
    return ({ entry: { region }, rttMs }) => {
      if (region !== last) said = this.saidOf(from.region, region);
      last = region;
      if (said !== null) return said;
      return rttMs !== null && thereMs + rttMs <= nearRttMs ? 'near' : 'far';
    };
  }

  /** The same of regions: near where one of its agents is, as far as is known. */
  nearnessOfRegions(from: Origin): (region: string) => Nearness {
    const { projectId } = from;
    const thereMs = this.rttMsTo(from);
    return (region) => {
      const said = this.saidOf(from.region, region);
      if (said !== null) return said;
      return thereMs + this.rttMsTo({ region, projectId }) <= nearRttMs ? 'near' : 'far';
    };
  }

  private rttMsTo({ region, projectId }: Origin): number {
    if (sameRegion(region, this.own)) return 0;
    const known = [keyOf(null, region), keyOf(projectId, region)];
    return Math.min(...known.map((key) => this.measured.get(key)?.leastMs ?? Infinity));
  }

  /** What needs no measuring; null: it does. */
  private saidOf(from: string, region: string): Nearness | null {
    const { near } = this;
    const byMap = near.nearness(from, region);
    return byMap !== 'far' || near.names(from) || near.names(region) ? byMap : null;
  }
}

const keyOf = (projectId: string | null, region: string): string =>
  `${projectId ?? ''}/${region.toLowerCase()}`;

const leastOf = ({ rttMs }: Nearest): number => {
  let least = Infinity;
  for (const one of rttMs.values()) least = Math.min(least, one);
  return least;
};
