/** Sign-in, the session, the state of the server. */
import { anyone, member, session } from './access.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

export const sessionRows = [
  ['GET', '/api/v1/openapi.json', 'control', anyone, 'openApi'],
  ['POST', '/api/v1/sign-in', 'control', anyone, 'signIn'],
  ['POST', '/api/v1/sign-out', 'control', session, 'signOut'],
  ['GET', '/api/v1/session', 'control', session, 'session'],
  ['GET', '/api/v1/status', 'control', member, 'status'],
] as const satisfies readonly RouteRow[];

export const sessionSummaries: Summaries<typeof sessionRows> = {
  openApi: 'This description, for programs',
  signIn: 'Start a session',
  signOut: 'End the session',
  session: 'Who is signed in',
  status: 'State of the server',
};
