/** Join keys, of a project or of the platform. */
import { createJoinKey } from './createJoinKey.ts';
import { joinKeyOf, listJoinKeys, revokeJoinKey } from './joinKeys.ts';

export const joinKeyUseCases = {
  createJoinKey,
  joinKeys: listJoinKeys,
  joinKey: joinKeyOf,
  revokeJoinKey,
};
