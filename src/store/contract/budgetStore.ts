/** Budgets of projects and of keys: what they come to is read from usage by the hour. */
import type { BudgetMark } from '../../domain/metering/budget.ts';
import type { BudgetEntry } from '../../domain/directory.ts';
import type { Page, Paged } from '../../lib/page.ts';
import type { AuditNote } from './auditStore.ts';
import type { Refused } from './refused.ts';

export interface BudgetRow extends BudgetEntry {
  updatedAtMs: number;
  version: number;
}

/** A budget in a month. */
export interface BudgetView extends BudgetRow {
  /** Null: it is the project's, or the key is gone. */
  apiKeyName: string | null;
  spentMicros: number;
  /** When its marks were passed in this month; null: not yet. */
  reachedAtMs: Readonly<Record<BudgetMark, number | null>>;
}

/** Whole hours in epoch ms; `toMs` is not of it. */
export interface Month {
  fromMs: number;
  toMs: number;
}

export interface BudgetStore {
  /** The project's own first, then by id of the key; a place is `[id of the key or '']`. */
  budgetsOf(input: { projectId: string; month: Month; page: Page }): Promise<Paged<BudgetView>>;
  budgetOf(input: { projectId: string; id: string; month: Month }): Promise<BudgetView | null>;
  /**
   * Another amount passes its marks anew. A budget that is not there has version 0; `unknown`:
   * there is no such key of the project.
   */
  setBudget(input: {
    budget: BudgetEntry;
    expectedVersion: number | null;
    audit: AuditNote;
  }): Promise<{ ok: true; budget: BudgetRow } | Refused<'unknown' | 'version_conflict'>>;
  removeBudget(input: {
    projectId: string;
    id: string;
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'not_found'>>;
  /** What every budget, or those of one project, came to in a month. */
  budgetSums(input: {
    projectId: string | null;
    month: Month;
  }): Promise<{ id: string; spentMicros: number }[]>;
  /** What keys with a daily quota have used in a day; who used none is left out. */
  keyTokens(input: Month): Promise<{ id: string; tokens: number }[]>;
  /** Once for each mark and month: `first` says whether it is that time. */
  markBudget(input: {
    id: string;
    mark: BudgetMark;
    monthMs: number;
    audit: AuditNote;
  }): Promise<{ ok: true; first: boolean }>;
}
