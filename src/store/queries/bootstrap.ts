/** The first rows of a new platform. */
import type { BootstrapRows } from '../contract/platformStore.ts';
import type { Refused } from '../contract/refused.ts';
import type { Tx } from '../transaction.ts';
import { writeApiKey } from '../projects/apiKeys.ts';
import { appendChanges, lockChanges } from '../directory/changes.ts';
import { insertEndpoint } from '../catalogue/endpoints.ts';
import { writeJoinKey } from '../agents/joinKeys.ts';
import { insertModel } from '../catalogue/models.ts';
import { writeMember } from '../people/members.ts';
import { isBootstrapped, writeUser } from '../people/people.ts';
import { writeProject } from '../projects/projects.ts';

/** Of two that start at once, the second finds the first one's rows, because it waits here. */
export async function bootstrap(
  tx: Tx,
  rows: BootstrapRows,
): Promise<{ ok: true } | Refused<'already_bootstrapped'>> {
  await lockChanges(tx);
  if (await isBootstrapped(tx)) return { ok: false, reason: 'already_bootstrapped' };
  await writeUser(tx, rows.admin);
  await writeProject(tx, rows.project);
  await writeMember(tx, {
    projectId: rows.project.id,
    userId: rows.admin.id,
    role: 'owner',
    nowMs: rows.project.createdAtMs,
  });
  for (const model of rows.models) await insertModel(tx, model);
  for (const endpoint of rows.endpoints) await insertEndpoint(tx, endpoint);
  for (const key of rows.apiKeys) await writeApiKey(tx, key);
  for (const key of rows.joinKeys) await writeJoinKey(tx, key);
  await appendChanges(tx, [
    { kind: 'project', id: rows.project.id },
    ...rows.models.map(({ id }) => ({ kind: 'model' as const, id })),
    ...rows.endpoints.map(({ id }) => ({ kind: 'endpoint' as const, id })),
    ...rows.apiKeys.map(({ id }) => ({ kind: 'api_key' as const, id })),
  ]);
  return { ok: true };
}
