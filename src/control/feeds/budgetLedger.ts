/** What budgets and daily quotas have come to, for the data plane, and which are near their end. */
import type { BudgetMark } from '../../domain/metering/budget.ts';
import type { BudgetEntry } from '../../domain/directory.ts';
import { costText } from '../../domain/metering/price.ts';
import { auditOf } from '../audit.ts';
import type { ControlParts } from '../parts.ts';

export interface BudgetLedger {
  spent(asked: {
    projectId: string | null;
    fromMs: number;
    toMs: number;
  }): Promise<{ id: string; spentMicros: number }[]>;
  keyTokens(day: { fromMs: number; toMs: number }): Promise<{ id: string; tokens: number }[]>;
  /** Once a month for each mark it stands in the audit log and in the server's own. */
  reached(budget: {
    entry: BudgetEntry;
    mark: BudgetMark;
    spentMicros: number;
    monthMs: number;
  }): Promise<void>;
}

const actions = { 80: 'budget.warn', 100: 'budget.use_up' } as const;

export function createBudgetLedger(
  parts: Pick<ControlParts, 'store' | 'clock' | 'log'>,
): BudgetLedger {
  const { store, log } = parts;
  return {
    spent: ({ projectId, ...month }) => store.budgetSums({ projectId, month }),
    keyTokens: (day) => store.keyTokens(day),
    async reached({ entry, mark, spentMicros, monthMs }) {
      const { id, projectId, amountMicros, hardStop } = entry;
      const [amount, spent] = [costText(amountMicros), costText(spentMicros)];
      const changes = { spent: { from: null, to: spent }, amount: { from: amount, to: amount } };
      const subject = { action: actions[mark], target: id, projectId, changes };
      const audit = auditOf(parts, 'system', subject);
      const outcome = await store.markBudget({ id, mark, monthMs, audit });
      if (!outcome.first) return;
      log.warn(
        { budget: id, projectId, spent, amount, hardStop },
        `${mark} % of a budget are spent`,
      );
    },
  };
}
