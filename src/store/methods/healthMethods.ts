import type { HealthStore } from '../contract/healthStore.ts';
import { deleteOldHealth, healthOf, recordHealth } from '../agents/agentHealth.ts';
import type { MethodsOf } from './method.ts';

export const healthMethods: MethodsOf<HealthStore> = {
  recordHealth: { access: 'write', run: recordHealth },
  healthOf: { access: 'read', run: healthOf },
  deleteOldHealth: { access: 'write', run: deleteOldHealth },
};
