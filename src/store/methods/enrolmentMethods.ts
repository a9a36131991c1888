import type { EnrolmentStore } from '../contract/enrolmentStore.ts';
import { agentByEnrollment } from '../agents/agents.ts';
import { enroll } from '../agents/enroll.ts';
import { rotateToken } from '../agents/rotateToken.ts';
import type { MethodsOf } from './method.ts';

export const enrolmentMethods: MethodsOf<EnrolmentStore> = {
  agentByEnrollment: { access: 'read', run: agentByEnrollment },
  enroll: { access: 'write', run: enroll },
  rotateToken: { access: 'write', run: rotateToken },
};
