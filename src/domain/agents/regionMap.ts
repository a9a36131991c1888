/**
 * The operator's map of near regions: groups of regions that are near one another. A region may
 * stand in several groups. Regions keep their case and are compared without it.
 */
import { sameRegion } from '../../lib/text/slug.ts';

export interface RegionMap {
  groups: readonly (readonly string[])[];
}

/** Nothing is near anything but itself. */
export const emptyRegionMap: RegionMap = { groups: [] };

/** `far` is everything of which nothing better is known. */
export type Nearness = 'same' | 'near' | 'far';

/** How far two regions are from each other, as far as the map knows. */
export function nearnessOf(map: RegionMap, one: string, other: string): Nearness {
  if (sameRegion(one, other)) return 'same';
  const near = map.groups.some((group) => isIn(group, one) && isIn(group, other));
  return near ? 'near' : 'far';
}

/** Whether the operator has said anything about a region. */
export function isNamed(map: RegionMap, region: string): boolean {
  return map.groups.some((group) => isIn(group, region));
}

function isIn(group: readonly string[], region: string): boolean {
  return group.some((member) => sameRegion(member, region));
}
