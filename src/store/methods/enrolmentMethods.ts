import type { EnrolmentStore } from '../contract/enrolmentStore.ts';
import { agentByEnrollment } from '../agents/agents.ts';
import { enroll } from '../agents/enroll.ts';
import { rotateTokens } from '../agents/rotateTokens.ts';
import type { MethodsOf } from './method.ts';

export const enrolmentMethods: MethodsOf<EnrolmentStore> = {
  agentByEnrollment: { access: 'read', run: agentByEnrollment },
  enroll: { access: 'write', run: enroll },
  rotateTokens: { access: 'patient', run: rotateTokens },
};
