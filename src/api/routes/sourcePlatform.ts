/**
 * The source platform's addresses for what `/api/v1/projects/{project}` has: the same handlers
 * below `/{project}/v1`, where no cookie is read and any page may call with a key of its own; and
 * below `/v1`, where the key names the project.
 */
import { management } from './access.ts';
import { project } from './prefixes.ts';
import type { RouteRow } from './routeRow.ts';

/** Beginnings of paths, here and there. */
const addresses: readonly (readonly [string, string])[] = [
  [`${project}/join-keys`, '/{project}/v1/management/join-keys'],
  [`${project}/agents`, '/{project}/v1/management/agents'],
  [`${project}/api-keys`, '/{project}/v1/management/api-keys'],
  [`${project}/usage`, '/{project}/v1/usage'],
  [`${project}/requests`, '/{project}/v1/requests'],
];

/** The rows of the source platform that go with these. */
export function sourcePlatformRows<Row extends RouteRow>(rows: readonly Row[]): Row[] {
  return rows.flatMap((row) => {
    const [method, path, plane, , handler] = row;
    const found = addresses.find(([ours]) => path === ours || path.startsWith(`${ours}/`));
    if (found === undefined) return [];
    const [ours, theirs] = found;
    const named = theirs + path.slice(ours.length);
    return [named, named.slice('/{project}'.length)].map(
      (address) => [method, address, plane, management, handler] as RouteRow as Row,
    );
  });
}
