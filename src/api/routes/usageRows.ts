/** What was served. */
import { member } from './access.ts';
import { project } from './prefixes.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

export const usageRows = [
  ['GET', `${project}/requests`, 'control', member, 'requests'],
  ['GET', `${project}/usage`, 'control', member, 'usage'],
  ['GET', `${project}/usage/records`, 'control', member, 'requests'],
  ['GET', `${project}/usage/summary.csv`, 'control', member, 'usageCsv'],
  ['GET', `${project}/usage/records.csv`, 'control', member, 'requestsCsv'],
] as const satisfies readonly RouteRow[];

export const usageSummaries: Summaries<typeof usageRows> = {
  requests: 'Requests of a project, newest first',
  usage: 'What the requests of a project come to',
  usageCsv: 'The same as CSV',
  requestsCsv: 'Requests of a project as CSV, newest first',
};
