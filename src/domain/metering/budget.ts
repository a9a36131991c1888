/**
 * Budgets: what a project, or one of its keys, may cost in a calendar month (UTC). Whoever comes
 * near is warned; a hard stop refuses what would cost more. It looks at what has been spent, not at
 * what is about to be: requests that run when it is used up are finished and charged.
 */

/** What is told once a month each: percent of the amount that were spent. */
export const budgetMarks = [80, 100] as const;
export type BudgetMark = (typeof budgetMarks)[number];

/** A budget whose hard stop is in force. */
export interface BudgetStop {
  /** Of a whole project, or of one key. */
  scope: 'project' | 'api_key';
  /** Millionths of the operator's unit. */
  amountMicros: number;
  /** When it was used up; what still ran then came on top. */
  spentMicros: number;
}

/** `used_up`: without a hard stop, so that requests go on. */
export type BudgetState = 'ok' | 'warning' | 'used_up' | 'stopped';

export function budgetState(budget: {
  amountMicros: number;
  spentMicros: number;
  hardStop: boolean;
}): BudgetState {
  const { spentMicros, amountMicros, hardStop } = budget;
  if (spentMicros >= amountMicros) return hardStop ? 'stopped' : 'used_up';
  return hasReached(80, budget) ? 'warning' : 'ok';
}

export function hasReached(
  mark: BudgetMark,
  { amountMicros, spentMicros }: { amountMicros: number; spentMicros: number },
): boolean {
  return spentMicros * 100 >= amountMicros * mark;
}

/** The month of a time, in epoch ms: from its first moment to the first of the next one. */
export function monthOf(atMs: number): { fromMs: number; toMs: number } {
  const at = new Date(atMs);
  const [year, month] = [at.getUTCFullYear(), at.getUTCMonth()];
  return { fromMs: Date.UTC(year, month), toMs: Date.UTC(year, month + 1) };
}
