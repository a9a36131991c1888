/** What budgets and daily quotas have come to: from usage by the hour, and from linked time. */
import { sql } from 'kysely';
import type { BudgetMark } from '../../domain/budget.ts';
import { mapPage, type Paged } from '../../lib/page.ts';
import type { BudgetStore, BudgetView, Month } from '../contract/budgetStore.ts';
import { rowsPerStatement } from '../limits.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { timeCost } from './agentHours.ts';
import { toBudgetRow } from './budgets.ts';
import { chunks } from './columns.ts';
import { pageAfter } from './pageAfter.ts';

type Input<Name extends keyof BudgetStore> = Parameters<BudgetStore[Name]>[0];
type Outcome<Name extends keyof BudgetStore> = ReturnType<BudgetStore[Name]>;

export async function budgetsOf(
  tx: Tx,
  { projectId, month, page }: Input<'budgetsOf'>,
): Outcome<'budgetsOf'> {
  const query = tx.db.selectFrom('budgets').selectAll().where('project_id', '=', projectId);
  const rows = await pageAfter(query, { order: ['api_key_id'], direction: 'asc', page });
  const views = new Map((await viewed(tx, rows.items, month)).map((view) => [view.id, view]));
  return mapPage(rows, ({ id }) => views.get(id)) as Paged<BudgetView>;
}

export async function budgetOf(
  tx: Tx,
  { projectId, id, month }: Input<'budgetOf'>,
): Outcome<'budgetOf'> {
  const query = tx.db.selectFrom('budgets').selectAll().where('project_id', '=', projectId);
  const rows = await query.where('id', '=', id).execute();
  return (await viewed(tx, rows, month))[0] ?? null;
}

export async function budgetSums(
  tx: Tx,
  { projectId, month }: Input<'budgetSums'>,
): Outcome<'budgetSums'> {
  let query = tx.db.selectFrom('budgets').selectAll();
  if (projectId !== null) query = query.where('project_id', '=', projectId);
  const rows = await query.execute();
  const sums = await sumsOf(tx, rows, month);
  return rows.map(({ id }) => ({ id, spentMicros: sums.get(id) ?? 0 }));
}

export async function keyTokens(
  { db }: Tx,
  { fromMs, toMs }: Input<'keyTokens'>,
): Outcome<'keyTokens'> {
  return db
    .selectFrom('usage_hours')
    .innerJoin('api_keys', 'api_keys.id', 'usage_hours.api_key_id')
    .where('api_keys.tokens_per_day', 'is not', null)
    .where('usage_hours.hour_ms', '>=', fromMs)
    .where('usage_hours.hour_ms', '<', toMs)
    .groupBy('api_keys.id')
    .select('api_keys.id')
    .select(sql<number>`cast(sum(input_tokens + output_tokens) as bigint)`.as('tokens'))
    .execute();
}

async function viewed(
  tx: Tx,
  rows: readonly Row<'budgets'>[],
  month: Month,
): Promise<BudgetView[]> {
  if (rows.length === 0) return [];
  const ids = rows.map(({ id }) => id);
  const sums = await sumsOf(tx, rows, month);
  const names = new Map<string, string>();
  const reached = new Map<string, number>();
  for (const some of chunks(ids, rowsPerStatement)) {
    const keys = tx.db.selectFrom('api_keys').select(['id', 'name']).where('id', 'in', some);
    for (const { id, name } of await keys.execute()) names.set(id, name);
    const marks = tx.db
      .selectFrom('budget_marks')
      .selectAll()
      .where('budget_id', 'in', some)
      .where('month_ms', '=', month.fromMs);
    for (const mark of await marks.execute()) {
      reached.set(`${mark.budget_id} ${mark.mark}`, mark.at_ms);
    }
  }
  return rows.map((row) => {
    const at = (mark: BudgetMark): number | null => reached.get(`${row.id} ${mark}`) ?? null;
    return {
      ...toBudgetRow(row),
      apiKeyName: names.get(row.id) ?? null,
      spentMicros: sums.get(row.id) ?? 0,
      reachedAtMs: { 80: at(80), 100: at(100) },
    };
  });
}

/** Sums by the id of the budget; one that came to nothing is left out. */
async function sumsOf(
  { db }: Tx,
  rows: readonly Row<'budgets'>[],
  { fromMs, toMs }: Month,
): Promise<Map<string, number>> {
  const sums = new Map<string, number>();
  for (const some of chunks(rows, rowsPerStatement)) {
    const ids = some.map(({ id }) => id);
    const tokens = db
      .selectFrom('budgets')
      .innerJoin('usage_hours', 'usage_hours.project_id', 'budgets.project_id')
      .where('budgets.id', 'in', ids)
      .where('usage_hours.hour_ms', '>=', fromMs)
      .where('usage_hours.hour_ms', '<', toMs)
      .where((is) =>
        is.or([
          is('budgets.api_key_id', '=', ''),
          is('budgets.api_key_id', '=', is.ref('usage_hours.api_key_id')),
        ]),
      )
      .groupBy('budgets.id')
      .select(['budgets.id', sql<number>`cast(sum(cost_micros) as bigint)`.as('micros')]);
    // Time belongs to no key.
    const time = db
      .selectFrom('budgets')
      .innerJoin('agent_hours', 'agent_hours.project_id', 'budgets.project_id')
      .where('budgets.id', 'in', ids)
      .where('budgets.api_key_id', '=', '')
      .where('agent_hours.hour_ms', '>=', fromMs)
      .where('agent_hours.hour_ms', '<', toMs)
      .groupBy('budgets.id')
      .select(['budgets.id', sql<number>`cast(sum(${timeCost}) as bigint)`.as('micros')]);
    for (const { id, micros } of [...(await tokens.execute()), ...(await time.execute())]) {
      sums.set(id, (sums.get(id) ?? 0) + micros);
    }
  }
  return sums;
}
