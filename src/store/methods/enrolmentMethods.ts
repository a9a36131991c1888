import type { EnrolmentStore } from '../contract/enrolmentStore.ts';
import { agentByEnrollment } from '../queries/agents.ts';
import { enroll } from '../queries/enroll.ts';
import { rotateToken } from '../queries/rotateToken.ts';
import type { MethodsOf } from './method.ts';

export const enrolmentMethods: MethodsOf<EnrolmentStore> = {
  agentByEnrollment: { access: 'read', run: agentByEnrollment },
  enroll: { access: 'write', run: enroll },
  rotateToken: { access: 'write', run: rotateToken },
};
