/**
 * Where an invitation's address leads: what it is for, then a password for a new account, or the
 * sign-in of the one that there is, and the acceptance.
 */
import { useQuery } from '@tanstack/react-query';
import type { ReactElement } from 'react';
import type { InvitationTermsAnswer, SessionAnswer } from '../../../src/api/control/sessions.ts';
import { ApiError, client } from '../client.ts';
import { EntryField } from '../parts/entryField.tsx';
import { EntryForm } from '../parts/entryForm.tsx';
import { CrossMark } from '../parts/marks.tsx';
import { words } from '../words.ts';
import { SignIn } from './signIn.tsx';

const explain = (error: ApiError): string => words.invitation.failed(error.message);

export function Invitation(props: {
  token: string;
  session: SessionAnswer | null;
  /** The caller's session has changed, or the invitation is done with. */
  onSignedIn: (oneTime: string | null) => void;
  onDone: () => void;
}): ReactElement {
  const { token, session, onDone } = props;
  const terms = useQuery({
    queryKey: ['invitation', token],
    queryFn: () => client.invitationTerms(token),
    retry: false,
  });
  if (terms.isPending) return <main aria-busy="true" />;
  if (terms.isError) return <Unusable error={terms.error} onDone={onDone} />;
  const help = purpose(terms.data);
  if (!terms.data.has_account) {
    return (
      <EntryForm
        title={words.invitation.title}
        help={help}
        button={words.invitation.create}
        busyButton={words.invitation.busy}
        explain={explain}
        submit={async (entries) => {
          await client.signUp({ token, password: entries('new-password') });
          onDone();
        }}
      >
        <EntryField
          id="new-password"
          label={words.newPassword.label}
          help={words.newPassword.rule}
          type="password"
          autoComplete="new-password"
          minLength={12}
          focused
        />
      </EntryForm>
    );
  }
  if (session === null) return <SignIn help={help} onDone={props.onSignedIn} />;
  return (
    <EntryForm
      title={words.invitation.title}
      help={help}
      button={words.invitation.accept}
      busyButton={words.invitation.busy}
      explain={explain}
      submit={async () => {
        await client.acceptInvitation(token);
        onDone();
      }}
      footer={
        <button type="button" className="button" onClick={onDone}>
          {words.invitation.leave}
        </button>
      }
    >
      {null}
    </EntryForm>
  );
}

function Unusable({ error, onDone }: { error: Error; onDone: () => void }): ReactElement {
  const what = error instanceof ApiError ? error.message : '';
  return (
    <main className="sign-in">
      <div className="empty" role="alert">
        <span className="mark">
          <CrossMark /> {words.invitation.failed(what)}
        </span>
        <button type="button" className="button" onClick={onDone}>
          {words.invitation.leave}
        </button>
      </div>
    </main>
  );
}

function purpose({ email, project }: InvitationTermsAnswer): string {
  return project === null
    ? words.invitation.toPlatform(email)
    : words.invitation.toProject({ email, project: project.name, role: project.role });
}
