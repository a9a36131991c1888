/** Puts the changes of one owner in order: its counts are bounded and must not be overtaken. */
import { takeAdvisoryLock } from '../advisoryLocks.ts';
import type { Row } from '../tables.ts';
import type { Tx } from '../transaction.ts';

/**
 * The project, which no other transaction that calls this gets before this one has ended;
 * undefined when there is none. What only refers to the project (an enrolment) does not wait.
 */
export async function lockProject(tx: Tx, id: string): Promise<Row<'projects'> | undefined> {
  const query = tx.db.selectFrom('projects').selectAll().where('id', '=', id);
  return (tx.dialect === 'postgres' ? query.forNoKeyUpdate() : query).executeTakeFirst();
}

/** The same for a project or, with null, for the platform. False: there is no such project. */
export async function lockOwner(tx: Tx, projectId: string | null): Promise<boolean> {
  if (projectId !== null) return (await lockProject(tx, projectId)) !== undefined;
  await takeAdvisoryLock(tx, 'platform');
  return true;
}
