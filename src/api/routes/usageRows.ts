/** What was served, and what it may cost. */
import { admin, member, owner } from './access.ts';
import { platform, project } from './prefixes.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

export const usageRows = [
  ['GET', `${project}/requests`, 'control', member, 'requests'],
  ['GET', `${project}/requests/active`, 'control', member, 'activeRequests'],
  ['GET', `${project}/requests/{request}`, 'control', member, 'receipt'],
  ['GET', `${project}/usage`, 'control', member, 'usage'],
  ['GET', `${project}/usage/records`, 'control', member, 'requests'],
  ['GET', `${project}/usage/summary.csv`, 'control', member, 'usageCsv'],
  ['GET', `${project}/usage/records.csv`, 'control', member, 'requestsCsv'],
  ['GET', `${project}/budgets`, 'control', member, 'budgets'],
  ['GET', `${project}/budgets/{budget}`, 'control', member, 'budget'],
  ['PUT', `${project}/budgets/{budget}`, 'control', owner, 'setBudget'],
  ['DELETE', `${project}/budgets/{budget}`, 'control', owner, 'removeBudget'],
  ['GET', `${platform}/receipts`, 'control', admin, 'platformReceipts'],
] as const satisfies readonly RouteRow[];

export const usageSummaries: Summaries<typeof usageRows> = {
  requests: 'Requests of a project, newest first',
  activeRequests: 'Requests that wait or run now, oldest first, with their places in line',
  platformReceipts:
    'Receipts of all projects as a trace for the simulator, without names, as JSON lines',
  receipt: 'Why a request went where it went, and what came of it',
  usage: 'What the requests of a project come to',
  usageCsv: 'The same as CSV',
  requestsCsv: 'Requests of a project as CSV, newest first',
  budgets: 'Budgets of a project and of its keys, and what they have come to in this month',
  budget: 'One of them: `project`, or the id of a key',
  setBudget: 'Set the monthly budget of the project or of a key',
  removeBudget: 'Remove a budget, and its hard stop with it',
};
