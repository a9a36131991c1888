/** Sign-in, sign-up, sign-out, who is signed in, and what a person does about their own account. */
import type { sessionContracts } from '../../api/control/sessions.ts';
import type { OpenedSession } from '../../control/access/signIn.ts';
import type { Control } from '../../control/control.ts';
import type { AddressLimiter } from '../addresses/addressLimiter.ts';
import type { ControlCall } from '../control/controlCall.ts';
import { isoTime } from '../control/isoTime.ts';
import { createOidcRoutes } from './oidcRoutes.ts';
import { createSecondFactorRoutes } from './secondFactorRoutes.ts';
import { createSessionAnswer, type SessionAnswerOf } from './sessionAnswer.ts';
import { clearSessionCookie, writeSessionCookie } from './sessionCookie.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

type Handlers = TopicHandlers<typeof sessionContracts>;

interface Options {
  control: Pick<
    Control,
    | 'signIn'
    | 'signOut'
    | 'session'
    | 'projects'
    | 'changePassword'
    | 'secondFactors'
    | 'oidc'
    | 'invitationTerms'
    | 'acceptInvitation'
    | 'signUp'
  >;
  signInLimiter: AddressLimiter;
  /** Whether browsers reach the server by TLS. */
  secure: () => boolean;
  /** Where browsers reach it, without a slash at the end. */
  publicBase: () => string;
}

export function createSessionRoutes(options: Options): Handlers {
  const { control, secure } = options;
  const answerOf = createSessionAnswer(control);
  const start = (call: Pick<ControlCall, 'context'>, { token, session }: OpenedSession): void => {
    const { expiresAtMs } = session;
    writeSessionCookie(call.context, { token, expiresAtMs, secure: secure() });
  };
  return {
    ...createSecondFactorRoutes(control),
    ...createOidcRoutes({ ...options, start }),
    ...invitationRoutes(options, { answerOf, start }),
    async signIn(call) {
      const { caller } = call;
      const { address } = caller;
      const admitted = options.signInLimiter.take(address);
      if (!admitted.ok) return call.refuse({ ...admitted, reason: 'too_many_attempts' });
      const outcome = await control.signIn({ ...call.body, address });
      if (!outcome.ok) return call.refuse(outcome);
      start(call, outcome);
      return call.json(await answerOf(caller, outcome.session));
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
    async changePassword(call) {
      const { caller, body, sessionToken = '' } = call;
      const outcome = await control.changePassword({
        caller,
        sessionToken,
        oldPassword: body.old_password,
        newPassword: body.new_password,
      });
      if (!outcome.ok) return call.refuse(outcome);
      const session = await control.session(sessionToken);
      if (session === null) return call.refuse({ reason: 'not_signed_in' });
      return call.json(await answerOf(caller, session));
    },
  };
}

function invitationRoutes(
  { control, signInLimiter }: Options,
  parts: {
    answerOf: SessionAnswerOf;
    start: (call: Pick<ControlCall, 'context'>, opened: OpenedSession) => void;
  },
): Pick<Handlers, 'invitationTerms' | 'acceptInvitation' | 'signUp'> {
  const { answerOf, start } = parts;
  return {
    async invitationTerms(call) {
      const { address } = call.caller;
      const admitted = signInLimiter.take(address);
      if (!admitted.ok) return call.refuse({ ...admitted, reason: 'too_many_attempts' });
      const outcome = await control.invitationTerms({ ...call.body, address });
      if (!outcome.ok) return call.refuse(outcome);
      const { email, project, expiresAtMs, hasAccount } = outcome;
      const expires_at = isoTime(expiresAtMs);
      return call.json({ email, project, expires_at, has_account: hasAccount });
    },
    async acceptInvitation(call) {
      const { caller, sessionToken = '' } = call;
      const outcome = await control.acceptInvitation({ ...call.body, caller });
      if (!outcome.ok) return call.refuse(outcome);
      const session = await control.session(sessionToken);
      if (session === null) return call.refuse({ reason: 'not_signed_in' });
      return call.json(await answerOf(caller, session));
    },
    async signUp(call) {
      const { caller } = call;
      const admitted = signInLimiter.take(caller.address);
      if (!admitted.ok) return call.refuse({ ...admitted, reason: 'too_many_attempts' });
      const outcome = await control.signUp({ ...call.body, caller });
      if (!outcome.ok) return call.refuse(outcome);
      start(call, outcome);
      return call.json(await answerOf(caller, outcome.session));
    },
  };
}
