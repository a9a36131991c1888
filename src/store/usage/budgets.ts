/** Budgets of projects and of keys: set, removed, and which marks they have passed. */
import type { BudgetEntry } from '../../domain/directory.ts';
import type { BudgetRow, BudgetStore } from '../contract/budgetStore.ts';
import type { Row } from '../tables.ts';
import { forUpdate, type Tx } from '../transaction.ts';
import { noteChanges, noteNothing } from '../projects/audit.ts';
import { versionConflict } from '../catalogue/changeEndpoint.ts';
import { appendChanges } from '../directory/changes.ts';
import { fromFlag, toFlag } from '../queries/columns.ts';
import { lockedProject } from '../projects/projects.ts';

type Input<Name extends keyof BudgetStore> = Parameters<BudgetStore[Name]>[0];
type Outcome<Name extends keyof BudgetStore> = ReturnType<BudgetStore[Name]>;

/** The lock of the project puts changes of its budgets in order. */
export async function setBudget(
  tx: Tx,
  { budget, expectedVersion, audit }: Input<'setBudget'>,
): Outcome<'setBudget'> {
  const { id, projectId, apiKeyId } = budget;
  if ((await lockedProject(tx, projectId)) === null) return { ok: false, reason: 'unknown' };
  if (apiKeyId !== null && !(await isKeyOf(tx, { projectId, apiKeyId }))) {
    return { ok: false, reason: 'unknown' };
  }
  const before = await stored(tx, { projectId, id });
  const stale = versionConflict(before ?? { version: 0 }, expectedVersion);
  if (stale !== null) return stale;
  const fields = ['amountMicros', 'hardStop'] as const;
  const none: Partial<BudgetEntry> = {};
  if (!noteChanges(tx, { from: before ?? none, to: budget as Partial<BudgetEntry>, fields })) {
    noteNothing(tx);
    return { ok: true, budget: before ?? { ...budget, updatedAtMs: audit.atMs, version: 0 } };
  }
  const updatedAtMs = audit.atMs;
  const after = { ...budget, updatedAtMs, version: (before?.version ?? 0) + 1 };
  if (before?.amountMicros !== budget.amountMicros) await forgetMarks(tx, id);
  const row = fromBudget(after);
  await tx.db
    .insertInto('budgets')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
    .execute();
  await appendChanges(tx, [{ kind: 'budget', id }]);
  return { ok: true, budget: after };
}

export async function removeBudget(
  tx: Tx,
  { projectId, id }: Input<'removeBudget'>,
): Outcome<'removeBudget'> {
  await lockedProject(tx, projectId);
  const before = await stored(tx, { projectId, id });
  if (before === null) return { ok: false, reason: 'not_found' };
  const fields = ['amountMicros', 'hardStop'] as const;
  noteChanges(tx, { from: before as Partial<BudgetEntry>, to: {}, fields });
  // Its marks go with it.
  await tx.db.deleteFrom('budgets').where('id', '=', id).execute();
  await appendChanges(tx, [{ kind: 'budget', id }]);
  return { ok: true };
}

/** A budget that has gone meanwhile has no marks. */
export async function markBudget(
  tx: Tx,
  { id, mark, monthMs, audit }: Input<'markBudget'>,
): Outcome<'markBudget'> {
  const query = tx.db.selectFrom('budgets').select('id').where('id', '=', id);
  const known = await forUpdate(tx, query).executeTakeFirst();
  const inserted =
    known !== undefined &&
    (await tx.db
      .insertInto('budget_marks')
      .values({ budget_id: id, month_ms: monthMs, mark, at_ms: audit.atMs })
      .onConflict((conflict) => conflict.columns(['budget_id', 'month_ms', 'mark']).doNothing())
      .executeTakeFirst());
  const first = inserted !== false && inserted.numInsertedOrUpdatedRows === 1n;
  if (!first) noteNothing(tx);
  return { ok: true, first };
}

async function stored(
  tx: Tx,
  { projectId, id }: { projectId: string; id: string },
): Promise<BudgetRow | null> {
  const query = tx.db
    .selectFrom('budgets')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('id', '=', id);
  const row = await forUpdate(tx, query).executeTakeFirst();
  return row === undefined ? null : toBudgetRow(row);
}

async function isKeyOf(
  { db }: Tx,
  { projectId, apiKeyId }: { projectId: string; apiKeyId: string },
): Promise<boolean> {
  const query = db.selectFrom('api_keys').select('id').where('project_id', '=', projectId);
  return (await query.where('id', '=', apiKeyId).executeTakeFirst()) !== undefined;
}

async function forgetMarks({ db }: Tx, id: string): Promise<void> {
  await db.deleteFrom('budget_marks').where('budget_id', '=', id).execute();
}

function fromBudget(budget: BudgetRow): Row<'budgets'> {
  return {
    id: budget.id,
    project_id: budget.projectId,
    api_key_id: budget.apiKeyId ?? '',
    amount_micros: budget.amountMicros,
    hard_stop: toFlag(budget.hardStop),
    version: budget.version,
    updated_at_ms: budget.updatedAtMs,
  };
}

/** What `toBudget` reads. */
export const budgetEntryColumns = [
  'id',
  'project_id',
  'api_key_id',
  'amount_micros',
  'hard_stop',
] as const;

/** As the directory has it. */
export function toBudget(
  row: Pick<Row<'budgets'>, (typeof budgetEntryColumns)[number]>,
): BudgetEntry {
  return {
    id: row.id,
    projectId: row.project_id,
    apiKeyId: row.api_key_id === '' ? null : row.api_key_id,
    amountMicros: row.amount_micros,
    hardStop: fromFlag(row.hard_stop),
  };
}

export function toBudgetRow(row: Row<'budgets'>): BudgetRow {
  return { ...toBudget(row), updatedAtMs: row.updated_at_ms, version: row.version };
}
