/** Projects. */
import type { ProjectEntry } from '../../domain/directory.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';
import { fromFlag, toFlag } from './columns.ts';

/** Oldest first. */
export async function projects({ db }: Tx): Promise<ProjectEntry[]> {
  const rows = await db
    .selectFrom('projects')
    .selectAll()
    .orderBy('created_at_ms')
    .orderBy('id')
    .execute();
  return rows.map(toProject);
}

export async function insertProject(
  { db }: Tx,
  project: ProjectEntry & { createdAtMs: number },
): Promise<void> {
  await db
    .insertInto('projects')
    .values({
      id: project.id,
      slug: project.slug,
      name: project.name,
      shared_access: toFlag(project.sharedAccess),
      created_at_ms: project.createdAtMs,
    })
    .execute();
}

export function toProject(row: Row<'projects'>): ProjectEntry {
  return {
    id: row.id,
    slug: row.slug,
    name: row.name,
    sharedAccess: fromFlag(row.shared_access),
  };
}
