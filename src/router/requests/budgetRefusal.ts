/** What a client is told whose budget, its project's or its key's, is used up. */
import { monthOf, type BudgetStop } from '../../domain/metering/budget.ts';
import { costText } from '../../domain/metering/price.ts';
import type { Refusal } from '../ports.ts';

/** `nowMs` is the time of day. It says when the month is over: no library waits for that. */
export function budgetRefusal(budget: BudgetStop, nowMs: number): Refusal {
  const { scope, amountMicros, spentMicros } = budget;
  const name = scope === 'project' ? 'budget' : 'key_budget';
  const [value, used] = [costText(amountMicros), costText(spentMicros)];
  const resets = new Date(monthOf(nowMs).toMs).toISOString();
  const whose = scope === 'project' ? 'this project' : 'this API key';
  const message =
    `The monthly budget of ${whose} is used up (${name} = ${value}): ${used} were spent. ` +
    `It begins anew at ${resets}; an owner of the project can raise it before.`;
  const extra = { limit: { name, value, used, resets } };
  return { name: 'insufficient_quota', message, shouldRetry: false, extra };
}
