/**
 * How near an agent is to where a request belongs: by the operator's map where it names one of the
 * two regions, else by what was measured on the agents' links.
 *
 * What is measured are round trips between agents and this router. Two regions are near one another
 * when the way from the one over the router to the other is short enough: it is never shorter than
 * the way between them.
 */
import { sameRegion } from '../../lib/text/slug.ts';
import { emptyRegionMap, isNamed, nearnessOf, type Nearness, type RegionMap } from './regionMap.ts';

/** Round trips that add up to no more, in ms, are near: what a near region costs in the score. */
export const nearRttMs = 25;
/** Regions whose round trip is remembered. */
const maxMeasured = 1000;
/** Weight of a round trip that is longer than the shortest known one of its region. */
const longerWeight = 0.2;

export interface Placed {
  entry: { region: string };
  /** Null: it was not measured yet. */
  rttMs: number | null;
}

export class Regions {
  map: RegionMap = emptyRegionMap;
  /** The router's own, for requests whose caller and endpoint name none. */
  readonly own: string;
  /** By region in small letters: the round trip to the nearest of its agents, in ms. */
  private readonly measured = new Map<string, number>();

  constructor(own: string) {
    this.own = own;
  }

  /** The round trip to an agent there, in ms. */
  note(region: string, rttMs: number): void {
    const key = region.toLowerCase();
    const known = this.measured.get(key) ?? rttMs;
    this.measured.delete(key);
    this.measured.set(key, rttMs < known ? rttMs : known + longerWeight * (rttMs - known));
    const oldest = this.measured.keys().next();
    if (this.measured.size > maxMeasured && oldest.done !== true) {
      this.measured.delete(oldest.value);
    }
  }

  /** Of an agent to the region of a request. */
  nearness(from: string, agent: Placed): Nearness {
    return this.nearnessFrom(from)(agent);
  }

  /** The same for many agents one after the other, of whom most stand in one region. */
  nearnessFrom(from: string): (agent: Placed) => Nearness {
    const { own } = this;
    const thereMs = sameRegion(from, own) ? 0 : (this.measured.get(from.toLowerCase()) ?? Infinity);
    let last: string | undefined;
    let said: Nearness | null = null;
    return ({ entry: { region }, rttMs }) => {
      if (region !== last) said = this.saidOf(from, region);
      last = region;
      if (said !== null) return said;
      return rttMs !== null && thereMs + rttMs <= nearRttMs ? 'near' : 'far';
    };
  }

  /** What needs no measuring; null: it does. */
  private saidOf(from: string, region: string): Nearness | null {
    const { map } = this;
    const byMap = nearnessOf(map, from, region);
    return byMap !== 'far' || isNamed(map, from) || isNamed(map, region) ? byMap : null;
  }
}
