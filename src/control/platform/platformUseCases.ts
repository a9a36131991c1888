/** What main does with the platform. No caller: main is trusted. */
import { sweep } from '../agents/sweep.ts';
import { credentialsMatch } from './bootstrap.ts';
import { ensureDefaultModel } from './defaultModel.ts';
import { newPlatformJoinKey } from './platformJoinKey.ts';

export const platformUseCases = {
  credentialsMatch,
  ensureDefaultModel,
  newPlatformJoinKey,
  /** About once a minute. */
  sweep,
};
