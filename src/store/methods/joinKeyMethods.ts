import type { JoinKeyStore } from '../contract/joinKeyStore.ts';
import { insertJoinKey, joinKeyById, joinKeysOf, revokeJoinKey } from '../queries/joinKeys.ts';
import type { MethodsOf } from './method.ts';

export const joinKeyMethods: MethodsOf<JoinKeyStore> = {
  insertJoinKey: { access: 'write', run: insertJoinKey },
  joinKeyById: { access: 'read', run: joinKeyById },
  joinKeysOf: { access: 'read', run: joinKeysOf },
  revokeJoinKey: { access: 'write', run: revokeJoinKey },
};
