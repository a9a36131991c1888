/** What a project has, as the free quota counts it. The caller has locked the project. */
import type { Holdings } from '../../domain/settings/freeQuota.ts';
import type { TierSlug } from '../../domain/tiers/tiers.ts';
import type { Tx } from '../transaction.ts';

export async function holdingsOf({ db }: Tx, projectId: string): Promise<Holdings> {
  const endpoints = await db
    .selectFrom('endpoints')
    .select('tier')
    .where('project_id', '=', projectId)
    .execute();
  const models = await db
    .selectFrom('models')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('project_id', '=', projectId)
    .executeTakeFirstOrThrow();
  return { tiers: endpoints.map(({ tier }) => tier as TierSlug), models: Number(models.count) };
}
