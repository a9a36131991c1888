import type { BudgetStore } from '../contract/budgetStore.ts';
import { markBudget, removeBudget, setBudget } from '../usage/budgets.ts';
import { budgetOf, budgetsOf, budgetSums, keyTokens } from '../usage/budgetSums.ts';
import type { MethodsOf } from './method.ts';

export const budgetMethods: MethodsOf<BudgetStore> = {
  budgetsOf: { access: 'read', run: budgetsOf },
  budgetOf: { access: 'read', run: budgetOf },
  setBudget: { access: 'change', run: setBudget },
  removeBudget: { access: 'change', run: removeBudget },
  budgetSums: { access: 'read', run: budgetSums },
  keyTokens: { access: 'read', run: keyTokens },
  markBudget: { access: 'change', run: markBudget },
};
