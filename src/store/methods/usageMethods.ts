import type { UsageStore } from '../contract/usageStore.ts';
import { recordUptime } from '../queries/agentHours.ts';
import { recordUsage } from '../queries/usage.ts';
import { recentUsage } from '../queries/usageRecords.ts';
import { usageNames, usageSummary } from '../queries/usageSummary.ts';
import type { MethodsOf } from './method.ts';

export const usageMethods: MethodsOf<UsageStore> = {
  recordUsage: { access: 'upkeep', run: recordUsage },
  recordUptime: { access: 'upkeep', run: recordUptime },
  recentUsage: { access: 'read', run: recentUsage },
  usageSummary: { access: 'read', run: usageSummary },
  usageNames: { access: 'read', run: usageNames },
};
