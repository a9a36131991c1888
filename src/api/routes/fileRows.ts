/** Dashboard, installer and health. */
import { anyone, loopbackOrKey } from './access.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

export const fileRows = [
  ['GET', '/', 'files', anyone, 'root'],
  ['GET', '/ui', 'files', anyone, 'root'],
  ['GET', '/ui/{rest*}', 'files', anyone, 'dashboard'],
  ['GET', '/install.sh', 'files', anyone, 'installScript'],
  ['GET', '/install/xim.tgz', 'files', anyone, 'installPackage'],
  ['GET', '/healthz', 'health', anyone, 'alive'],
  ['GET', '/readyz', 'health', anyone, 'ready'],
  ['GET', '/metrics', 'health', loopbackOrKey, 'metrics'],
] as const satisfies readonly RouteRow[];

export const fileSummaries: Summaries<typeof fileRows> = {
  root: 'Leads to the dashboard',
  dashboard: 'The dashboard',
  installScript: 'Script that makes a machine an agent',
  installPackage: 'The agent, packed',
  alive: 'The process answers',
  ready: 'It takes requests',
  metrics: 'Counters for Prometheus',
};
