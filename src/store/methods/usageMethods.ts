import type { UsageStore } from '../contract/usageStore.ts';
import { recordUptime } from '../agents/agentHours.ts';
import { recordUsage } from '../usage/usage.ts';
import { recentUsage, usageRecord } from '../usage/usageRecords.ts';
import { usageNames, usageSummary } from '../usage/usageSummary.ts';
import type { MethodsOf } from './method.ts';

export const usageMethods: MethodsOf<UsageStore> = {
  recordUsage: { access: 'upkeep', run: recordUsage },
  recordUptime: { access: 'upkeep', run: recordUptime },
  recentUsage: { access: 'read', run: recentUsage },
  usageRecord: { access: 'read', run: usageRecord },
  usageSummary: { access: 'read', run: usageSummary },
  usageNames: { access: 'read', run: usageNames },
};
