/**
 * The operator's map of near regions: groups of regions that are near one another. A region may
 * stand in several groups. Regions keep their case and are compared without it.
 */
export interface RegionMap {
  groups: readonly (readonly string[])[];
}

/** Nothing is near anything but itself. */
export const emptyRegionMap: RegionMap = { groups: [] };

/** `far` is everything of which nothing better is known. */
export type Nearness = 'same' | 'near' | 'far';

/** What a map says, looked up for each request. */
export class NearRegions {
  /** By region in small letters; those that no group names are not in it. */
  private readonly neighbours = new Map<string, Set<string>>();

  constructor({ groups }: RegionMap) {
    for (const group of groups) {
      const members = group.map((region) => region.toLowerCase());
      for (const member of members) {
        const known = this.neighbours.get(member) ?? new Set();
        this.neighbours.set(member, new Set([...known, ...members]));
      }
    }
  }

  /** How far two regions are from each other, as far as the map knows. */
  nearness(one: string, other: string): Nearness {
    const [from, to] = [one.toLowerCase(), other.toLowerCase()];
    if (from === to) return 'same';
    return this.neighbours.get(from)?.has(to) === true ? 'near' : 'far';
  }

  /** Whether the operator has said anything about a region. */
  names(region: string): boolean {
    return this.neighbours.has(region.toLowerCase());
  }
}
