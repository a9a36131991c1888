/** Join keys of projects and of the platform. */
import { admin, owner } from './access.ts';
import { platform, project } from './prefixes.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

export const joinKeyRows = [
  ['GET', `${project}/join-keys`, 'control', owner, 'joinKeys'],
  ['POST', `${project}/join-keys`, 'control', owner, 'createJoinKey'],
  ['GET', `${project}/join-keys/{key}`, 'control', owner, 'joinKey'],
  ['DELETE', `${project}/join-keys/{key}`, 'control', owner, 'revokeJoinKey'],
  ['GET', `${platform}/join-keys`, 'control', admin, 'platformJoinKeys'],
  ['POST', `${platform}/join-keys`, 'control', admin, 'createPlatformJoinKey'],
  ['GET', `${platform}/join-keys/{key}`, 'control', admin, 'platformJoinKey'],
  ['DELETE', `${platform}/join-keys/{key}`, 'control', admin, 'revokePlatformJoinKey'],
] as const satisfies readonly RouteRow[];

export const joinKeySummaries: Summaries<typeof joinKeyRows> = {
  joinKeys: 'Join keys of a project',
  joinKey: 'One join key of a project; its secret is never shown again',
  createJoinKey: 'Create a join key of a project; the key is shown once',
  revokeJoinKey: 'Revoke a join key of a project; agents that it enrolled stay',
  platformJoinKeys: 'Join keys of the platform, which enrol shared agents',
  platformJoinKey: 'One join key of the platform; its secret is never shown again',
  createPlatformJoinKey: 'Create a join key of the platform; the key is shown once',
  revokePlatformJoinKey: 'Revoke a join key of the platform; agents that it enrolled stay',
};
