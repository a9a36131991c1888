/** Sign-in, sign-out, who is signed in, and the caller's projects. */
import type { ProjectAnswer, projectContracts } from '../../api/control/projects.ts';
import type { SessionAnswer, sessionContracts } from '../../api/control/sessions.ts';
import type { SessionView } from '../../control/access/signIn.ts';
import type { Control } from '../../control/control.ts';
import type { ProjectView } from '../../control/projects/projects.ts';
import type { Caller } from '../../control/principal.ts';
import type { AddressLimiter } from '../addressLimiter.ts';
import { isoTime } from './isoTime.ts';
import { clearSessionCookie, writeSessionCookie } from './sessionCookie.ts';
import type { TopicHandlers } from './topicHandlers.ts';

type Contracts = typeof sessionContracts & typeof projectContracts;

export function createSessionRoutes(options: {
  control: Pick<Control, 'signIn' | 'signOut' | 'session' | 'projects'>;
  signInLimiter: AddressLimiter;
  /** Whether browsers reach the server by TLS. */
  secure: () => boolean;
}): TopicHandlers<Contracts> {
  const { control, secure } = options;

  const answerOf = async (caller: Caller, session: SessionView): Promise<SessionAnswer> => {
    const { principal } = session;
    return sessionAnswer(session, await projectsOf(control, { ...caller, principal }));
  };

  return {
    async signIn(call) {
      const { caller, context } = call;
      const { address } = caller;
      const admitted = options.signInLimiter.take(address);
      if (!admitted.ok) return call.refuse({ ...admitted, reason: 'too_many_attempts' });
      const outcome = await control.signIn({ ...call.body, address });
      if (!outcome.ok) return call.refuse(outcome);
      const { token, session } = outcome;
      writeSessionCookie(context, { token, expiresAtMs: session.expiresAtMs, secure: secure() });
      return call.json(await answerOf(caller, session));
    },
    async signOut(call) {
      await control.signOut(call.sessionToken ?? '');
      clearSessionCookie(call.context, { secure: secure() });
      return call.json({ signed_out: true });
    },
    async session(call) {
      const session = await control.session(call.sessionToken ?? '');
      // Ended between the look at the caller and here.
      if (session === null) return call.refuse({ reason: 'not_signed_in' });
      return call.json(await answerOf(call.caller, session));
    },
    async projects(call) {
      const outcome = await control.projects({ caller: call.caller });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json({ data: outcome.projects.map(projectAnswer) });
    },
  };
}

async function projectsOf(
  control: Pick<Control, 'projects'>,
  caller: Caller,
): Promise<ProjectAnswer[]> {
  const outcome = await control.projects({ caller });
  return outcome.ok ? outcome.projects.map(projectAnswer) : [];
}

function sessionAnswer(session: SessionView, projects: ProjectAnswer[]): SessionAnswer {
  const { userId, email, role } = session.principal;
  return {
    user: { id: userId, email, role },
    must_change_password: session.mustChangePassword,
    projects,
    expires_at: isoTime(session.expiresAtMs),
  };
}

function projectAnswer({ project, role }: ProjectView): ProjectAnswer {
  const { id, slug, name, sharedAccess } = project;
  return { id, slug, name, shared_access: sharedAccess, role };
}
