import type { UsageStore } from '../contract/usageStore.ts';
import { recentUsage, recordUsage } from '../queries/usage.ts';
import type { MethodsOf } from './method.ts';

export const usageMethods: MethodsOf<UsageStore> = {
  recordUsage: { access: 'write', run: recordUsage },
  recentUsage: { access: 'read', run: recentUsage },
};
