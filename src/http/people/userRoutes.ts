/** Accounts, for operators. */
import type { userContracts, UserAnswer } from '../../api/control/users.ts';
import type { Control } from '../../control/control.ts';
import type { UserView } from '../../control/people/userView.ts';
import { pageAnswer } from '../control/controlCall.ts';
import { isoTime, isoTimeOrNull } from '../control/isoTime.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

export function createUserRoutes(
  control: Pick<
    Control,
    'users' | 'user' | 'createUser' | 'updateUser' | 'resetPassword' | 'dropSecondFactor'
  >,
): TopicHandlers<typeof userContracts> {
  return {
    async users(call) {
      const outcome = await control.users(call);
      return outcome.ok ? call.json(pageAnswer(outcome.page, userAnswer)) : call.refuse(outcome);
    },
    async user(call) {
      const outcome = await control.user({ caller: call.caller, userId: call.part('user') });
      return outcome.ok ? call.json(userAnswer(outcome.user)) : call.refuse(outcome);
    },
    async createUser(call) {
      const { caller, body } = call;
      const { email, role = 'user' } = body;
      const outcome = await control.createUser({ caller, email, role });
      if (!outcome.ok) return call.refuse(outcome);
      const { user, oneTimePassword } = outcome;
      return call.json({ ...userAnswer(user), one_time_password: oneTimePassword });
    },
    async updateUser(call) {
      const { caller, body, expectedVersion } = call;
      const userId = call.part('user');
      const outcome = await control.updateUser({ ...body, caller, userId, expectedVersion });
      return outcome.ok ? call.json(userAnswer(outcome.user)) : call.refuse(outcome);
    },
    async resetPassword(call) {
      const userId = call.part('user');
      const outcome = await control.resetPassword({ caller: call.caller, userId });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json({ id: userId, one_time_password: outcome.oneTimePassword });
    },
    async dropSecondFactor(call) {
      const userId = call.part('user');
      const outcome = await control.dropSecondFactor({ caller: call.caller, userId });
      return outcome.ok ? call.json({ id: userId, second_factor: false }) : call.refuse(outcome);
    },
  };
}

function userAnswer(user: UserView): UserAnswer {
  return {
    id: user.id,
    email: user.email,
    role: user.role,
    disabled_at: isoTimeOrNull(user.disabledAtMs),
    has_password: user.hasPassword,
    must_change_password: user.mustChangePassword,
    second_factor: user.secondFactor,
    last_sign_in_at: isoTimeOrNull(user.lastSignInAtMs),
    created_at: isoTime(user.createdAtMs),
    version: user.version,
  };
}
