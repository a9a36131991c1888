import type { JoinKeyStore } from '../contract/joinKeyStore.ts';
import { insertJoinKey, joinKeyById, joinKeysOf, revokeJoinKey } from '../queries/joinKeys.ts';
import type { MethodsOf } from './method.ts';

export const joinKeyMethods: MethodsOf<JoinKeyStore> = {
  insertJoinKey: { access: 'change', run: insertJoinKey },
  joinKeyById: { access: 'read', run: joinKeyById },
  joinKeysOf: { access: 'read', run: joinKeysOf },
  revokeJoinKey: { access: 'change', run: revokeJoinKey },
};
