/**
 * `xim login` with the address of an invitation: whoever it is for makes the account by choosing a
 * password, or signs in with the one that there is.
 */
import type { InvitationTermsAnswer, SessionAnswer } from '../../api/control/sessions.ts';
import {
  failed,
  openedBy,
  post,
  signedIn,
  signInAsPerson,
  withNewPassword,
  type SignedIn,
  type SigningIn,
} from './signInAsPerson.ts';

/** The token of an invitation's address; undefined: it is another address. */
export function invitationIn(url: string | undefined): string | undefined {
  return /#invitation=([\w-]+)$/.exec(url ?? '')?.[1];
}

export async function acceptInvitation(signing: SigningIn & { token: string }): Promise<SignedIn> {
  const { token } = signing;
  const asked = await post<InvitationTermsAnswer>(signing, null, '/api/v1/sign-up/terms', {
    token,
  });
  if (asked.kind !== 'ok') return failed(asked, signing);
  const { email, project, has_account: hasAccount } = asked.answer;
  const to = project === null ? 'the server' : `${project.name}, as ${project.role}`;
  signing.context.terminal.note(`An invitation of ${email} to ${to}.\n`);
  if (!hasAccount) {
    signing.context.terminal.note('Choose a password for the new account.\n');
    const made = await withNewPassword(signing, (password) =>
      post<SessionAnswer>(signing, null, '/api/v1/sign-up', { token, password }),
    );
    const { auth, session } = openedBy(made);
    return signedIn(auth, session);
  }
  const { auth } = await signInAsPerson({ ...signing, email });
  const path = '/api/v1/session/invitations';
  const accepted = await post<SessionAnswer>(signing, auth, path, { token });
  if (accepted.kind !== 'ok') return failed(accepted, signing);
  return signedIn(auth, accepted.answer);
}
