/** Projects and what is seen of them live. */
import { member } from './access.ts';
import { project } from './prefixes.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

export const projectRows = [
  ['GET', '/api/v1/projects', 'control', member, 'projects'],
  ['GET', `${project}/live`, 'control', member, 'live'],
] as const satisfies readonly RouteRow[];

export const projectSummaries: Summaries<typeof projectRows> = {
  projects: 'Projects of the caller',
  live: 'Snapshots of a project as server-sent events, at most one a second',
};
