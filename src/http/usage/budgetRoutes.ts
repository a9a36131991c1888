/** Budgets of a project and of its keys. */
import type { BudgetAnswer, budgetContracts } from '../../api/control/budgets.ts';
import type { Control } from '../../control/control.ts';
import type { BudgetView } from '../../control/usage/budgets.ts';
import { budgetState, monthOf } from '../../domain/metering/budget.ts';
import { costText } from '../../domain/metering/price.ts';
import type { Clock } from '../../lib/clock.ts';
import { pageAnswer, type ControlCall } from '../control/controlCall.ts';
import { isoTime, isoTimeOrNull } from '../control/isoTime.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

export function createBudgetRoutes(options: {
  control: Pick<Control, 'budgets' | 'budget' | 'setBudget' | 'removeBudget'>;
  clock: Clock;
}): TopicHandlers<typeof budgetContracts> {
  const { control, clock } = options;
  const shown = (budget: BudgetView): BudgetAnswer => budgetAnswer(budget, clock.now());
  const about = ({ caller, part }: Pick<ControlCall, 'caller' | 'part'>) => ({
    caller,
    project: part('project'),
    budget: part('budget'),
  });
  return {
    async budgets(call) {
      const { caller, page } = call;
      const outcome = await control.budgets({ caller, project: call.part('project'), page });
      return outcome.ok ? call.json(pageAnswer(outcome.budgets, shown)) : call.refuse(outcome);
    },
    async budget(call) {
      const outcome = await control.budget(about(call));
      return outcome.ok ? call.json(shown(outcome.budget)) : call.refuse(outcome);
    },
    async setBudget(call) {
      const { body, expectedVersion } = call;
      const wish = { amount: body.amount, hardStop: body.hard_stop, expectedVersion };
      const outcome = await control.setBudget({ ...about(call), ...wish });
      return outcome.ok ? call.json(shown(outcome.budget)) : call.refuse(outcome);
    },
    async removeBudget(call) {
      const outcome = await control.removeBudget(about(call));
      if (!outcome.ok) return call.refuse(outcome);
      return call.json({ id: call.part('budget'), deleted: true });
    },
  };
}

/** `nowMs`: within the month that it is shown for. */
export function budgetAnswer(budget: BudgetView, nowMs: number): BudgetAnswer {
  const { apiKeyId, apiKeyName, amountMicros, spentMicros, reachedAtMs, version } = budget;
  return {
    id: apiKeyId ?? 'project',
    scope: apiKeyId === null ? 'project' : 'api_key',
    api_key_id: apiKeyId,
    api_key: apiKeyName,
    amount: costText(amountMicros),
    hard_stop: budget.hardStop,
    spent: costText(spentMicros),
    used: amountMicros === 0 ? null : Math.round((spentMicros * 1000) / amountMicros) / 1000,
    state: budgetState(budget),
    warned_at: isoTimeOrNull(reachedAtMs[80]),
    used_up_at: isoTimeOrNull(reachedAtMs[100]),
    resets_at: isoTime(monthOf(nowMs).toMs),
    version,
  };
}
