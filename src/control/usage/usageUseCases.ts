/** What was served, and what it comes to. */
import { recentRequests } from './recentRequests.ts';
import { usageSummary } from './usageSummary.ts';

export const usageUseCases = { recentRequests, usageSummary };
