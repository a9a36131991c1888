/**
 * Who is signed in decides what is shown: the sign-in page, a new password, an invitation, or the
 * first project's overview.
 */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type ReactElement } from 'react';
import { ApiError, client } from './client.ts';
import { CrossMark } from './parts/marks.tsx';
import { Invitation } from './views/invitation.tsx';
import { NewPassword } from './views/newPassword.tsx';
import { Overview } from './views/overview.tsx';
import { SignIn } from './views/signIn.tsx';
import { words } from './words.ts';

/** Out of the address and its history at once: whoever has it is let in. */
function takeInvitation(): string | null {
  const token = /^#invitation=([\w-]+)$/.exec(location.hash)?.[1] ?? null;
  if (token !== null) history.replaceState(null, '', location.pathname);
  return token;
}
const invitedWith = takeInvitation();

export function App(): ReactElement {
  const [invitation, setInvitation] = useState(invitedWith);
  const [oneTime, setOneTime] = useState<string | null>(null);
  const queries = useQueryClient();
  const session = useQuery({ queryKey: ['session'], queryFn: () => client.session() });
  // The cache of one person must not be seen by the next.
  const again = (): void => {
    queries.clear();
    void session.refetch();
  };

  if (session.isPending) return <main aria-busy="true" />;
  if (session.isError) {
    const what = session.error instanceof ApiError ? session.error.message : '';
    return (
      <main className="sign-in">
        <div className="empty" role="alert">
          <span className="mark">
            <CrossMark /> {words.loadFailed(what)}
          </span>
          <button type="button" className="button" onClick={again}>
            {words.tryNow}
          </button>
        </div>
      </main>
    );
  }
  const signedIn = (password: string | null): void => {
    setOneTime(password);
    again();
  };
  const signOut = (): void => {
    // A failed sign-out leaves the session as it is; the refetch shows which it was.
    void client.signOut().finally(again);
  };
  if (session.data?.must_change_password === true) {
    const done = (): void => {
      setOneTime(null);
      again();
    };
    return <NewPassword oneTime={oneTime} onDone={done} onSignOut={signOut} />;
  }
  if (invitation !== null) {
    const done = (): void => {
      setInvitation(null);
      again();
    };
    return (
      <Invitation token={invitation} session={session.data} onSignedIn={signedIn} onDone={done} />
    );
  }
  if (session.data === null) return <SignIn onDone={signedIn} />;
  const [project] = session.data.projects;
  if (project === undefined) {
    return (
      <main className="sign-in">
        <div className="empty">
          <h1>{words.forbiddenTitle}</h1>
          <p className="support">{words.forbidden}</p>
          <button type="button" className="button" onClick={signOut}>
            {words.signOut}
          </button>
        </div>
      </main>
    );
  }
  return <Overview session={session.data} project={project} onSignOut={signOut} />;
}
