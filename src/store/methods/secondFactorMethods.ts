import type { SecondFactorStore } from '../contract/secondFactorStore.ts';
import {
  beginSecondFactor,
  confirmSecondFactor,
  removeSecondFactor,
  replaceRecoveryCodes,
  secondFactor,
  useRecoveryCode,
  useSecondFactorStep,
} from '../people/secondFactors.ts';
import type { MethodsOf } from './method.ts';

export const secondFactorMethods: MethodsOf<SecondFactorStore> = {
  secondFactor: { access: 'read', run: secondFactor },
  beginSecondFactor: { access: 'change', run: beginSecondFactor },
  confirmSecondFactor: { access: 'change', run: confirmSecondFactor },
  useSecondFactorStep: { access: 'write', run: useSecondFactorStep },
  useRecoveryCode: { access: 'write', run: useRecoveryCode },
  replaceRecoveryCodes: { access: 'change', run: replaceRecoveryCodes },
  removeSecondFactor: { access: 'change', run: removeSecondFactor },
};
