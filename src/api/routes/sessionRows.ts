/** Sign-in, the session, one's own account, the state of the server. */
import { anyone, member, session, sessionEvenOneTime } from './access.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

const own = '/api/v1/session';

export const sessionRows = [
  ['GET', '/api/v1/openapi.json', 'control', anyone, 'openApi'],
  ['GET', '/api/v1/sign-in/options', 'control', anyone, 'signInOptions'],
  ['POST', '/api/v1/sign-in', 'control', anyone, 'signIn'],
  ['POST', '/api/v1/sign-up', 'control', anyone, 'signUp'],
  ['POST', '/api/v1/sign-up/terms', 'control', anyone, 'invitationTerms'],
  ['GET', '/api/v1/oidc/start', 'control', anyone, 'beginOidc'],
  ['GET', '/api/v1/oidc/callback', 'control', anyone, 'endOidc'],
  ['POST', '/api/v1/sign-out', 'control', sessionEvenOneTime, 'signOut'],
  ['GET', own, 'control', sessionEvenOneTime, 'session'],
  ['POST', `${own}/password`, 'control', sessionEvenOneTime, 'changePassword'],
  ['POST', `${own}/invitations`, 'control', session, 'acceptInvitation'],
  ['GET', `${own}/second-factor`, 'control', session, 'secondFactor'],
  ['POST', `${own}/second-factor`, 'control', session, 'beginSecondFactor'],
  ['POST', `${own}/second-factor/confirm`, 'control', session, 'confirmSecondFactor'],
  ['POST', `${own}/second-factor/recovery-codes`, 'control', session, 'renewRecoveryCodes'],
  ['POST', `${own}/second-factor/turn-off`, 'control', session, 'turnOffSecondFactor'],
  ['GET', '/api/v1/status', 'control', member, 'status'],
] as const satisfies readonly RouteRow[];

export const sessionSummaries: Summaries<typeof sessionRows> = {
  openApi: 'This description, for programs',
  signInOptions: 'Ways to sign in beside the password',
  signIn: 'Start a session',
  signUp: 'Accept an invitation with a new account, and start a session',
  invitationTerms: 'What an invitation is for',
  beginOidc: 'Leads to the identity provider',
  endOidc: 'Where the identity provider sends people back to',
  signOut: 'End the session',
  session: 'Who is signed in',
  changePassword: 'Change one’s own password; other sessions end',
  acceptInvitation: 'Accept an invitation with the account that is signed in',
  secondFactor: 'Whether a code is asked for at the sign-in',
  beginSecondFactor: 'Make a secret for an authenticator app; nothing is asked for yet',
  confirmSecondFactor: 'Turn the second factor on by a first code; shows the recovery codes',
  renewRecoveryCodes: 'Take new recovery codes; the old ones are void',
  turnOffSecondFactor: 'Turn the second factor off',
  status: 'State of the server',
};
