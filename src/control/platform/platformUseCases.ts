/** What main does with the platform. No caller: main is trusted. */
import { sweep } from '../agents/sweep.ts';
import { acceptedKeys } from './acceptedKeys.ts';
import { ensureDefaultModel } from './defaultModel.ts';
import { newPlatformJoinKey } from './platformJoinKey.ts';

export const platformUseCases = {
  acceptedKeys,
  ensureDefaultModel,
  newPlatformJoinKey,
  /** About once a minute. */
  sweep,
};
