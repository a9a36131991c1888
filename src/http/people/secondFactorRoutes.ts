/** One's own second factor. */
import type { sessionContracts } from '../../api/control/sessions.ts';
import type { Control } from '../../control/control.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

type Name =
  | 'secondFactor'
  | 'beginSecondFactor'
  | 'confirmSecondFactor'
  | 'renewRecoveryCodes'
  | 'turnOffSecondFactor';

export function createSecondFactorRoutes({
  secondFactors,
}: Pick<Control, 'secondFactors'>): Pick<TopicHandlers<typeof sessionContracts>, Name> {
  return {
    async secondFactor(call) {
      const outcome = await secondFactors.status(call);
      if (!outcome.ok) return call.refuse(outcome);
      const { enabled, recoveryCodesLeft } = outcome;
      return call.json({ enabled, recovery_codes_left: recoveryCodesLeft });
    },
    async beginSecondFactor(call) {
      const { caller, body } = call;
      const outcome = await secondFactors.begin({ caller, password: body.password });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json({ secret: outcome.secret, otpauth_uri: outcome.uri });
    },
    async confirmSecondFactor(call) {
      const { caller, body } = call;
      const outcome = await secondFactors.confirm({ caller, code: body.code });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json({ recovery_codes: outcome.recoveryCodes });
    },
    async renewRecoveryCodes(call) {
      const { caller, body } = call;
      const outcome = await secondFactors.renewRecoveryCodes({ caller, code: body.code });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json({ recovery_codes: outcome.recoveryCodes });
    },
    async turnOffSecondFactor(call) {
      const { caller, body } = call;
      const outcome = await secondFactors.turnOff({ caller, code: body.code });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json({ enabled: false, recovery_codes_left: 0 });
    },
  };
}
