/** What the requests of a project come to. */
import { monthOf } from '../../domain/metering/budget.ts';
import type { UsageDimension } from '../../domain/metering/usageDimensions.ts';
import type { BudgetView } from '../../store/contract/budgetStore.ts';
import type { UsageGroup, UsageSums } from '../../store/contract/usageStore.ts';
import type { InvalidField } from '../invalidField.ts';
import { usageGroups } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { authorizeProject, type Caller, type Denied } from '../principal.ts';
import { readGroupBy, readUsageWish, type UsageWish } from './usageWish.ts';

/** A group with the names of what it is about, as far as these still exist. */
export interface UsageGroupView extends UsageGroup {
  modelName: string | null;
  apiKeyName: string | null;
  /** Own agents by name, all others as `shared`. */
  agentName: string | null;
}

export interface UsageSummaryView {
  fromMs: number;
  toMs: number;
  by: UsageDimension[];
  total: UsageSums;
  groups: UsageGroupView[];
  /** There are more groups than are shown. */
  more: boolean;
  /** The project's, in the month that runs. */
  budget: BudgetView | null;
}

type Parts = Pick<ControlParts, 'store' | 'clock'>;

/** Range and sums count in whole hours. */
export async function usageSummary(
  { store, clock }: Parts,
  input: { caller: Caller; project: string; wish: UsageWish; groupBy: string | undefined },
): Promise<{ ok: true; summary: UsageSummaryView } | InvalidField | Denied> {
  const { caller, project } = input;
  const allowed = await authorizeProject(store, { caller, project, role: 'member' });
  if (!allowed.ok) return allowed;
  const wish = readUsageWish(input.wish, clock.now());
  if (!wish.ok) return wish;
  const grouping = readGroupBy(input.groupBy);
  if (!grouping.ok) return grouping;
  const { filter } = wish;
  const { by } = grouping;
  const projectId = allowed.project.id;
  const { total, groups, more } = await store.usageSummary({
    projectId,
    filter,
    by,
    limit: usageGroups,
  });
  const { fromMs, toMs } = filter;
  const views = await named(store, { projectId, groups });
  const month = monthOf(clock.now());
  const budget = await store.budgetOf({ projectId, id: projectId, month });
  return { ok: true, summary: { fromMs, toMs, by, total, groups: views, more, budget } };
}

async function named(
  store: Parts['store'],
  { projectId, groups }: { projectId: string; groups: readonly UsageGroup[] },
): Promise<UsageGroupView[]> {
  const ids = (of: (group: UsageGroup) => string | undefined): string[] =>
    groups.map(of).filter((id) => id !== undefined);
  const names = await store.usageNames({
    projectId,
    agentIds: ids((group) => group.agentId),
    apiKeyIds: ids((group) => group.apiKeyId),
    modelIds: ids((group) => group.modelId),
  });
  return groups.map((group) => ({
    ...group,
    modelName: names.models[group.modelId ?? ''] ?? null,
    apiKeyName: names.apiKeys[group.apiKeyId ?? ''] ?? null,
    agentName: group.agentId === 'shared' ? 'shared' : (names.agents[group.agentId ?? ''] ?? null),
  }));
}
