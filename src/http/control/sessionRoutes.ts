/** Sign-in, sign-out, who is signed in, and the caller's projects. */
import type { ProjectAnswer } from '../../api/control/projects.ts';
import type { SessionAnswer } from '../../api/control/sessions.ts';
import { signInSchema } from '../../api/control/sessions.ts';
import type { SessionView } from '../../control/access/signIn.ts';
import type { Control } from '../../control/control.ts';
import type { ProjectView } from '../../control/projects/projects.ts';
import type { Caller } from '../../control/principal.ts';
import type { AddressLimiter } from '../addressLimiter.ts';
import { readInput, type ControlContext, type ControlHandler } from './controlContext.ts';
import { refuseFor } from './controlRefusals.ts';
import { isoTime } from './isoTime.ts';
import { clearSessionCookie, writeSessionCookie } from './sessionCookie.ts';

export function createSessionRoutes(options: {
  control: Pick<Control, 'signIn' | 'signOut' | 'session' | 'projects'>;
  signInLimiter: AddressLimiter;
  /** Whether browsers reach the server by TLS. */
  secure: () => boolean;
}): Record<'signIn' | 'signOut' | 'session' | 'projects', ControlHandler> {
  const { control, secure } = options;

  const answer = async (context: ControlContext, session: SessionView): Promise<Response> => {
    const { principal } = session;
    const listed = await projectsOf(control, { ...context.var.caller, principal });
    return context.json(sessionAnswer(session, listed));
  };

  return {
    async signIn(context) {
      const input = readInput(context, signInSchema);
      if (!input.ok) return input.response;
      const { address } = context.env.exchange;
      const admitted = options.signInLimiter.take(address);
      if (!admitted.ok) {
        return refuseFor(context, { ...admitted, reason: 'too_many_attempts' });
      }
      const outcome = await control.signIn({ ...input.value, address });
      if (!outcome.ok) return refuseFor(context, outcome);
      const { token, session } = outcome;
      writeSessionCookie(context, { token, expiresAtMs: session.expiresAtMs, secure: secure() });
      return answer(context, session);
    },
    async signOut(context) {
      await control.signOut(context.var.sessionToken ?? '');
      clearSessionCookie(context, { secure: secure() });
      return context.json({ signed_out: true });
    },
    async session(context) {
      const session = await control.session(context.var.sessionToken ?? '');
      // Ended between the look at the caller and here.
      if (session === null) return refuseFor(context, { reason: 'not_signed_in' });
      return answer(context, session);
    },
    async projects(context) {
      const outcome = await control.projects({ caller: context.var.caller });
      if (!outcome.ok) return refuseFor(context, outcome);
      return context.json({ data: outcome.projects.map(projectAnswer) });
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
