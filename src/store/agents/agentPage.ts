/** Agents of one owner in pieces, by what a list filters by. */
import { sql, type RawBuilder } from 'kysely';
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { AgentQuery, AgentRow } from '../contract/agentStore.ts';
import type { Tx } from '../transaction.ts';
import { toAgentRow } from './agents.ts';
import { containing } from '../queries/columns.ts';
import { pageAfter } from '../queries/pageAfter.ts';

export async function agentPage(
  tx: Tx,
  { page, ...input }: AgentQuery & { page: Page },
): Promise<Paged<AgentRow>> {
  const { projectId } = input;
  let query = tx.db
    .selectFrom('agents')
    .selectAll()
    .where('project_id', projectId === null ? 'is' : '=', projectId);
  for (const condition of conditions(tx, input)) query = query.where(condition);
  const order = ['created_at_ms', 'id'] as const;
  return mapPage(await pageAfter(query, { order, direction: 'asc', page }), toAgentRow);
}

function conditions(tx: Tx, input: AgentQuery): RawBuilder<boolean>[] {
  const { dead, stored, linked, everLinked, region, tier, name } = input;
  // Word for word as in the indexes, which are of one part each.
  const found = [dead ? sql<boolean>`state = 'dead'` : sql<boolean>`state <> 'dead'`];
  if (stored !== undefined) found.push(sql`state = ${stored}`);
  if (linked !== undefined) found.push(isAmong(tx, linked));
  if (everLinked !== undefined) {
    const is = sql.raw(everLinked ? 'is not null' : 'is null');
    found.push(sql`first_linked_at_ms ${is}`);
  }
  if (region !== undefined) found.push(sql`lower(region) = ${region.toLowerCase()}`);
  if (tier !== undefined) {
    found.push(sql`effective_tiers like ${containing(JSON.stringify(tier))} escape '!'`);
  }
  if (name !== undefined) found.push(sql`lower(name) like lower(${containing(name)}) escape '!'`);
  return found;
}

/** One parameter, however many ids there are. */
function isAmong({ dialect }: Tx, { ids, is }: { ids: readonly string[]; is: boolean }) {
  const list = JSON.stringify(ids);
  const given =
    dialect === 'sqlite'
      ? sql`select value from json_each(${list})`
      : sql`select json_array_elements_text(${list}::json)`;
  return sql<boolean>`id ${sql.raw(is ? 'in' : 'not in')} (${given})`;
}
