/** What was served. */
import { member } from './access.ts';
import { project } from './prefixes.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

export const usageRows = [
  ['GET', `${project}/requests`, 'control', member, 'requests'],
] as const satisfies readonly RouteRow[];

export const usageSummaries: Summaries<typeof usageRows> = {
  requests: 'Last requests of a project',
};
