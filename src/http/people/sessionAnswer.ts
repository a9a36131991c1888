/** Who is signed in, on the wire, with the projects that they may see. */
import type { SessionAnswer } from '../../api/control/sessions.ts';
import type { SessionView } from '../../control/access/signIn.ts';
import type { Control } from '../../control/control.ts';
import type { Caller } from '../../control/principal.ts';
import { isoTime } from '../control/isoTime.ts';
import { projectAnswer } from '../projects/projectAnswer.ts';

export type SessionAnswerOf = (caller: Caller, session: SessionView) => Promise<SessionAnswer>;

export function createSessionAnswer(control: Pick<Control, 'projects'>): SessionAnswerOf {
  return async (caller, session) => {
    const { principal } = session;
    const { userId, email, role } = principal;
    const listed = await control.projects({ caller: { ...caller, principal } });
    return {
      user: {
        id: userId,
        email,
        role,
        has_password: session.hasPassword,
        second_factor: session.secondFactor,
      },
      must_change_password: session.mustChangePassword,
      projects: listed.ok ? listed.projects.map(projectAnswer) : [],
      expires_at: isoTime(session.expiresAtMs),
    };
  };
}
