/** Who is signed in decides what is shown: the sign-in page, or the first project's overview. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import type { ReactElement } from 'react';
import { ApiError, client } from './client.ts';
import { CrossMark } from './parts/marks.tsx';
import { Overview } from './views/overview.tsx';
import { SignIn } from './views/signIn.tsx';
import { words } from './words.ts';

export function App(): ReactElement {
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
  if (session.data === null) return <SignIn onDone={again} />;
  const [project] = session.data.projects;
  if (project === undefined) {
    return (
      <main className="sign-in">
        <div className="empty">
          <h1>{words.forbiddenTitle}</h1>
          <p className="support">{words.forbidden}</p>
        </div>
      </main>
    );
  }
  const signOut = (): void => {
    // A failed sign-out leaves the session as it is; the refetch shows which it was.
    void client.signOut().finally(again);
  };
  return <Overview session={session.data} project={project} onSignOut={signOut} />;
}
