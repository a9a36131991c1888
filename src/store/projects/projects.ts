/** Projects, and the role that an account has in them. */
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { ProjectEntry } from '../../domain/directory.ts';
import type { MemberRole } from '../contract/memberStore.ts';
import type { ProjectRow, ProjectStore } from '../contract/projectStore.ts';
import type { Row } from '../tables.ts';
import { forUpdate, type Tx } from '../transaction.ts';
import { takeAdvisoryLock } from '../advisoryLocks.ts';
import { noteChanges, noteNothing } from './audit.ts';
import { appendChanges } from '../directory/changes.ts';
import { fromFlag, toFlag } from '../queries/columns.ts';
import { writeMember } from '../people/members.ts';
import { pageAfter } from '../queries/pageAfter.ts';

type Input<Name extends keyof ProjectStore> = Parameters<ProjectStore[Name]>[0];
type Outcome<Name extends keyof ProjectStore> = ReturnType<ProjectStore[Name]>;

/** A slug holds no underscore, an id always does. */
function isId(project: string): boolean {
  return project.includes('_');
}

/** One look at two unique indexes, however many projects there are. */
export async function projectAccess(
  { db }: Tx,
  { project, userId }: Input<'projectAccess'>,
): Outcome<'projectAccess'> {
  const row = await db
    .selectFrom('projects')
    .leftJoin('memberships', (join) =>
      join
        .onRef('memberships.project_id', '=', 'projects.id')
        .on('memberships.user_id', '=', userId ?? ''),
    )
    .selectAll('projects')
    .select('memberships.role')
    .where(isId(project) ? 'projects.id' : 'projects.slug', '=', project)
    .executeTakeFirst();
  return row === undefined ? null : { project: toProjectRow(row), role: row.role };
}

export async function projectsOf(
  { db }: Tx,
  { userId, page }: { userId: string | null; page: Page },
): Promise<Paged<{ project: ProjectRow; role: MemberRole | null }>> {
  const listed = { order: ['created_at_ms', 'id'], direction: 'asc', page } as const;
  if (userId === null) {
    const all = await pageAfter(db.selectFrom('projects').selectAll(), listed);
    return mapPage(all, (row) => ({ project: toProjectRow(row), role: null }));
  }
  const own = db
    .selectFrom('memberships')
    .innerJoin('projects', 'projects.id', 'memberships.project_id')
    .selectAll('projects')
    .select('memberships.role')
    .where('memberships.user_id', '=', userId);
  const rows = await pageAfter(db.selectFrom(own.as('own')).selectAll(), listed);
  return mapPage(rows, (row) => ({ project: toProjectRow(row), role: row.role }));
}

/** Whether it was written: false when the slug is taken. */
export async function writeProject({ db }: Tx, project: ProjectRow): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('projects')
    .values({
      id: project.id,
      slug: project.slug,
      name: project.name,
      shared_access: toFlag(project.sharedAccess),
      version: project.version,
      created_at_ms: project.createdAtMs,
    })
    .onConflict((conflict) => conflict.column('slug').doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

export async function insertProject(
  tx: Tx,
  { project, ownerId, ownedLimit, sharesAlone }: Input<'insertProject'>,
): Outcome<'insertProject'> {
  if (sharesAlone && project.sharedAccess && (await anotherShares(tx, project.id))) {
    return { ok: false, reason: 'another_shares' };
  }
  if (ownerId !== null) {
    // Its lock puts two creations of one person in order, so that both count what there is.
    await forUpdate(tx, tx.db.selectFrom('users').select('id').where('id', '=', ownerId)).execute();
    if (ownedLimit !== null && (await ownedBy(tx, ownerId)) >= ownedLimit) {
      return { ok: false, reason: 'too_many' };
    }
  }
  if (!(await writeProject(tx, project))) return { ok: false, reason: 'slug_taken' };
  if (ownerId !== null) {
    const { id: projectId, createdAtMs: nowMs } = project;
    await writeMember(tx, { projectId, userId: ownerId, role: 'owner', nowMs });
  }
  await appendChanges(tx, [{ kind: 'project', id: project.id }]);
  return { ok: true };
}

/** Until the transaction ends, no other that asks this gets an answer. */
async function anotherShares(tx: Tx, id: string): Promise<boolean> {
  await takeAdvisoryLock(tx, 'sharing');
  const another = await tx.db
    .selectFrom('projects')
    .select('id')
    .where('shared_access', '=', toFlag(true))
    .where('id', '!=', id)
    .limit(1)
    .executeTakeFirst();
  return another !== undefined;
}

async function ownedBy({ db }: Tx, userId: string): Promise<number> {
  const { owned } = await db
    .selectFrom('memberships')
    .select(({ fn }) => fn.countAll<number>().as('owned'))
    .where('user_id', '=', userId)
    .where('role', '=', 'owner')
    .executeTakeFirstOrThrow();
  return owned;
}

export async function updateProject(
  tx: Tx,
  { id, expectedVersion, change, sharesAlone }: Input<'updateProject'>,
): Outcome<'updateProject'> {
  const besides = sharesAlone && change.sharedAccess === true && (await anotherShares(tx, id));
  const before = await lockedProject(tx, id);
  if (before === null) return { ok: false, reason: 'unknown' };
  if (expectedVersion !== null && expectedVersion !== before.version) {
    return { ok: false, reason: 'version_conflict' };
  }
  if (besides && !before.sharedAccess) return { ok: false, reason: 'another_shares' };
  const after = { ...before, ...change, version: before.version + 1 };
  if (!noteChanges(tx, { from: before, to: after, fields: ['name', 'sharedAccess'] })) {
    noteNothing(tx);
    return { ok: true, project: before };
  }
  await tx.db
    .updateTable('projects')
    .set({
      name: after.name,
      shared_access: toFlag(after.sharedAccess),
      version: after.version,
    })
    .where('id', '=', id)
    .execute();
  await appendChanges(tx, [{ kind: 'project', id }]);
  return { ok: true, project: after };
}

/** Nothing that refers to the project can be inserted until the transaction ends. */
export async function lockedProject(tx: Tx, id: string): Promise<ProjectRow | null> {
  const query = tx.db.selectFrom('projects').selectAll().where('id', '=', id);
  const row = await forUpdate(tx, query).executeTakeFirst();
  return row === undefined ? null : toProjectRow(row);
}

export async function deleteProject(
  tx: Tx,
  { id }: Input<'deleteProject'>,
): Outcome<'deleteProject'> {
  if ((await lockedProject(tx, id)) === null) return { ok: false, reason: 'unknown' };
  const { db } = tx;
  const { endpoints } = await db
    .selectFrom('endpoints')
    .select(({ fn }) => fn.countAll<number>().as('endpoints'))
    .where('project_id', '=', id)
    .executeTakeFirstOrThrow();
  const { agents } = await db
    .selectFrom('agents')
    .select(({ fn }) => fn.countAll<number>().as('agents'))
    .where('project_id', '=', id)
    .where('state', '<>', 'dead')
    .executeTakeFirstOrThrow();
  if (endpoints + agents > 0) return { ok: false, reason: 'in_use', endpoints, agents };
  const gone = [
    ...(await deleteOf(tx, 'api_keys', id)).map((key) => ({ kind: 'api_key' as const, id: key })),
    ...(await deleteOf(tx, 'models', id)).map((model) => ({ kind: 'model' as const, id: model })),
    ...(await deleteOf(tx, 'budgets', id)).map((budget) => ({
      kind: 'budget' as const,
      id: budget,
    })),
    ...(await deleteOf(tx, 'agents', id)).map((agent) => ({ kind: 'agent' as const, id: agent })),
  ];
  await deleteOf(tx, 'join_keys', id);
  await db.deleteFrom('projects').where('id', '=', id).execute();
  await appendChanges(tx, [...gone, { kind: 'project', id }]);
  return { ok: true };
}

/** Ids of what is gone. */
async function deleteOf(
  { db }: Tx,
  table: 'api_keys' | 'models' | 'budgets' | 'agents' | 'join_keys',
  projectId: string,
): Promise<string[]> {
  const rows = await db
    .deleteFrom(table)
    .where('project_id', '=', projectId)
    .returning('id')
    .execute();
  return rows.map(({ id }) => id);
}

/** The columns of what the data plane sees. */
export const projectEntryColumns = [
  'id',
  'slug',
  'name',
  'shared_access',
] as const satisfies (keyof Row<'projects'>)[];

/** As the directory has it. */
export function toProject(
  row: Pick<Row<'projects'>, (typeof projectEntryColumns)[number]>,
): ProjectEntry {
  return {
    id: row.id,
    slug: row.slug,
    name: row.name,
    sharedAccess: fromFlag(row.shared_access),
  };
}

function toProjectRow(row: Row<'projects'>): ProjectRow {
  return { ...toProject(row), version: row.version, createdAtMs: row.created_at_ms };
}
