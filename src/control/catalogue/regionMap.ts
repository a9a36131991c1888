/** The operator's map of near regions. */
import { regionProblem, sameRegion } from '../../lib/text/slug.ts';
import type { RegionMapRow } from '../../store/contract/operatorStore.ts';
import { auditOf } from '../audit.ts';
import { regionGroups, regionsPerGroup } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { authorizePlatform, type Caller, type Denied } from '../principal.ts';
import { invalidField, shown, type InvalidField } from '../invalidField.ts';

export type RegionMapView = RegionMapRow;

type Parts = Pick<ControlParts, 'store' | 'clock' | 'log'>;

export async function regionMapOf(
  { store }: Parts,
  { caller }: { caller: Caller },
): Promise<{ ok: true; map: RegionMapRow } | Denied> {
  const allowed = authorizePlatform(caller);
  return allowed.ok ? { ok: true, map: await store.regionMap() } : allowed;
}

/** Replaces the whole map. */
export async function setRegionMap(
  parts: Parts,
  input: {
    caller: Caller;
    groups: readonly (readonly string[])[];
    expectedVersion: number | null;
  },
): Promise<
  | { ok: true; map: RegionMapRow }
  | InvalidField
  | { ok: false; reason: 'version_conflict' }
  | Denied
> {
  const { caller, expectedVersion } = input;
  const allowed = authorizePlatform(caller);
  if (!allowed.ok) return allowed;
  const groups = input.groups.map(withoutRepetition);
  const problem = groupsProblem(groups);
  if (problem !== undefined) return problem;
  const subject = { target: 'near', projectId: null };
  const outcome = await parts.store.setRegionMap({
    groups,
    expectedVersion,
    audit: auditOf(parts, caller, { action: 'region_map.update', ...subject }),
  });
  if (outcome.ok) parts.log.info({ groups: groups.length }, 'map of near regions changed');
  return outcome;
}

/** Regions are compared without case; the first spelling stays. */
function withoutRepetition(group: readonly string[]): string[] {
  return group.filter((one, at) => at === group.findIndex((first) => sameRegion(first, one)));
}

function groupsProblem(groups: readonly (readonly string[])[]): InvalidField | undefined {
  if (groups.length > regionGroups) {
    const message = `groups has ${groups.length} groups; it may have ${regionGroups}.`;
    return invalidField('groups', message);
  }
  for (const [at, group] of groups.entries()) {
    const param = `groups[${at}]`;
    if (group.length < 2 || group.length > regionsPerGroup) {
      const rule = `2 to ${regionsPerGroup} different regions that are near one another`;
      return invalidField(param, `${param} has ${group.length} regions; it must have ${rule}.`);
    }
    const wrong = group.find((region) => regionProblem(region) !== undefined);
    if (wrong !== undefined) {
      const rule = 'a region has 1 to 24 characters of printable ASCII without space';
      return invalidField(param, `${param} names ${shown(wrong)}; ${rule}.`);
    }
  }
  return undefined;
}
