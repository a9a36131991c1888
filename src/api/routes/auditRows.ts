/** The audit log. */
import { admin, owner } from './access.ts';
import { platform, project } from './prefixes.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

export const auditRows = [
  ['GET', `${project}/audit`, 'control', owner, 'audit'],
  ['GET', `${platform}/audit`, 'control', admin, 'platformAudit'],
] as const satisfies readonly RouteRow[];

export const auditSummaries: Summaries<typeof auditRows> = {
  audit: 'Who changed what in a project, newest first',
  platformAudit: 'Who changed what, over all projects and the platform, newest first',
};
