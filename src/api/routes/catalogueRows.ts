/** Endpoints. */
import { member } from './access.ts';
import { project } from './prefixes.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

export const catalogueRows = [
  ['GET', `${project}/endpoints`, 'control', member, 'endpoints'],
] as const satisfies readonly RouteRow[];

export const catalogueSummaries: Summaries<typeof catalogueRows> = {
  endpoints: 'Endpoints of a project',
};
