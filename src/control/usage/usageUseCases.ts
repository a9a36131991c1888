/** What was served, what it comes to, and what it may come to. */
import { budgetOf, listBudgets, removeBudget, setBudget } from './budgets.ts';
import { recentRequests } from './recentRequests.ts';
import { usageSummary } from './usageSummary.ts';

export const usageUseCases = {
  recentRequests,
  usageSummary,
  budgets: listBudgets,
  budget: budgetOf,
  setBudget,
  removeBudget,
};
