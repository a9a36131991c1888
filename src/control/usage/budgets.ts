/** Budgets of a project and of its keys. */
import { monthOf } from '../../domain/metering/budget.ts';
import { microsOf } from '../../domain/metering/price.ts';
import type { Page, Paged } from '../../lib/page.ts';
import type { BudgetView as StoredBudget } from '../../store/contract/budgetStore.ts';
import { auditOf } from '../audit.ts';
import type { ControlParts } from '../parts.ts';
import { authorizeProject, type Caller, type Denied } from '../principal.ts';

export type BudgetView = StoredBudget;

type Parts = Pick<ControlParts, 'store' | 'clock'>;

/** Which budget: of a project, `project` or the id of one of its keys. */
interface BudgetRef {
  caller: Caller;
  project: string;
  budget: string;
}

type NotFound = { ok: false; reason: 'not_found' };

export async function listBudgets(
  { store, clock }: Parts,
  input: { caller: Caller; project: string; page: Page },
): Promise<{ ok: true; budgets: Paged<BudgetView> } | Denied> {
  const allowed = await authorizeProject(store, { ...input, role: 'member' });
  if (!allowed.ok) return allowed;
  const month = monthOf(clock.now());
  const { id: projectId } = allowed.project;
  return { ok: true, budgets: await store.budgetsOf({ projectId, month, page: input.page }) };
}

export async function budgetOf(
  parts: Parts,
  input: BudgetRef,
): Promise<{ ok: true; budget: BudgetView } | NotFound | Denied> {
  const allowed = await authorizeProject(parts.store, { ...input, role: 'member' });
  if (!allowed.ok) return allowed;
  const { id: projectId } = allowed.project;
  const budget = await read(parts, { projectId, id: idOf(input.budget, projectId) });
  return budget === null ? { ok: false, reason: 'not_found' } : { ok: true, budget };
}

/** `amount`: a decimal number of the operator's unit with at most six digits behind the point. */
export async function setBudget(
  parts: Parts,
  input: BudgetRef & { expectedVersion: number | null; amount: string; hardStop: boolean },
): Promise<
  { ok: true; budget: BudgetView } | NotFound | { ok: false; reason: 'version_conflict' } | Denied
> {
  const { caller, hardStop, expectedVersion } = input;
  const allowed = await authorizeProject(parts.store, { ...input, role: 'owner' });
  if (!allowed.ok) return allowed;
  const { id: projectId } = allowed.project;
  const id = idOf(input.budget, projectId);
  const apiKeyId = id === projectId ? null : id;
  const amountMicros = microsOf(input.amount);
  const outcome = await parts.store.setBudget({
    budget: { id, projectId, apiKeyId, amountMicros, hardStop },
    expectedVersion,
    audit: auditOf(parts, caller, { action: 'budget.set', target: id, projectId }),
  });
  if (!outcome.ok && outcome.reason === 'unknown') return { ok: false, reason: 'not_found' };
  if (!outcome.ok) return { ok: false, reason: 'version_conflict' };
  const budget = await read(parts, { projectId, id });
  return budget === null ? { ok: false, reason: 'not_found' } : { ok: true, budget };
}

export async function removeBudget(
  parts: Parts,
  input: BudgetRef,
): Promise<{ ok: true } | NotFound | Denied> {
  const { caller } = input;
  const allowed = await authorizeProject(parts.store, { ...input, role: 'owner' });
  if (!allowed.ok) return allowed;
  const { id: projectId } = allowed.project;
  const id = idOf(input.budget, projectId);
  const audit = auditOf(parts, caller, { action: 'budget.remove', target: id, projectId });
  return parts.store.removeBudget({ projectId, id, audit });
}

function read(
  { store, clock }: Parts,
  which: { projectId: string; id: string },
): Promise<BudgetView | null> {
  return store.budgetOf({ ...which, month: monthOf(clock.now()) });
}

/** A budget has the id of what it is of. */
const idOf = (budget: string, projectId: string): string =>
  budget === 'project' ? projectId : budget;
