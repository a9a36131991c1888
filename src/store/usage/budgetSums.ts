/** What budgets and daily quotas have come to: from usage by the hour, and from linked time. */
import { sql, type RawBuilder } from 'kysely';
import type { BudgetMark } from '../../domain/metering/budget.ts';
import { mapPage, type Paged } from '../../lib/page.ts';
import type { BudgetStore, BudgetView, Month } from '../contract/budgetStore.ts';
import { rowsPerStatement } from '../limits.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { timeCost } from '../agents/agentHours.ts';
import { toBudgetRow } from './budgets.ts';
import { chunks } from '../queries/columns.ts';
import { pageAfter } from '../queries/pageAfter.ts';

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

/**
 * Sums by the id of the budget; one that came to nothing may be left out. However many keys of a
 * project have a budget, its month is read a few times and not once for each.
 */
async function sumsOf(
  tx: Tx,
  rows: readonly Row<'budgets'>[],
  month: Month,
): Promise<Map<string, number>> {
  const sums = new Map<string, number>();
  const add = (found: readonly { id: string; micros: number }[]): void => {
    for (const { id, micros } of found) sums.set(id, (sums.get(id) ?? 0) + micros);
  };
  const ofProjects = rows.filter((row) => row.api_key_id === '').map(({ id }) => id);
  for (const ids of chunks(ofProjects, rowsPerStatement)) {
    add(await tokensOf(tx, month, { ids }));
    add(await timeOf(tx, month, { ids }));
  }
  const ofKeys = rows.filter((row) => row.api_key_id !== '');
  for (const some of chunks(ofKeys, rowsPerStatement)) add(await tokensOfKeys(tx, month, { some }));
  return sums;
}

function tokensOf({ db }: Tx, { fromMs, toMs }: Month, { ids }: { ids: readonly string[] }) {
  return db
    .selectFrom('usage_hours')
    .where('project_id', 'in', ids)
    .where('hour_ms', '>=', fromMs)
    .where('hour_ms', '<', toMs)
    .groupBy('project_id')
    .select(['project_id as id', sum(sql`cost_micros`)])
    .execute();
}

/** Time belongs to no key. */
function timeOf({ db }: Tx, { fromMs, toMs }: Month, { ids }: { ids: readonly string[] }) {
  return db
    .selectFrom('agent_hours')
    .where('project_id', 'in', ids)
    .where('hour_ms', '>=', fromMs)
    .where('hour_ms', '<', toMs)
    .groupBy('project_id')
    .select(['project_id as id', sum(timeCost)])
    .execute();
}

function tokensOfKeys(
  { db }: Tx,
  { fromMs, toMs }: Month,
  { some }: { some: readonly Row<'budgets'>[] },
) {
  const projects = [...new Set(some.map((row) => row.project_id))];
  const keys = some.map((row) => row.api_key_id);
  return db
    .selectFrom('usage_hours')
    .where('project_id', 'in', projects)
    .where('hour_ms', '>=', fromMs)
    .where('hour_ms', '<', toMs)
    .where('api_key_id', 'in', keys)
    .groupBy('api_key_id')
    .select(['api_key_id as id', sum(sql`cost_micros`)])
    .execute();
}

const sum = (column: RawBuilder<unknown>) =>
  sql<number>`cast(sum(${column}) as bigint)`.as('micros');
