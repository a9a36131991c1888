/** What was served, what it comes to, and what it may come to. */
import { budgetOf, listBudgets, removeBudget, setBudget } from './budgets.ts';
import { mayExportReceipts } from './mayExportReceipts.ts';
import { recentRequests, requestOf } from './recentRequests.ts';
import { usageSummary } from './usageSummary.ts';

export const usageUseCases = {
  recentRequests,
  request: requestOf,
  usageSummary,
  mayExportReceipts,
  budgets: listBudgets,
  budget: budgetOf,
  setBudget,
  removeBudget,
};
