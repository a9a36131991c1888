import type { JoinKeyStore } from '../contract/joinKeyStore.ts';
import {
  insertJoinKey,
  joinKeyById,
  joinKeysOf,
  joinKeysPage,
  revokeJoinKey,
} from '../queries/joinKeys.ts';
import type { MethodsOf } from './method.ts';

export const joinKeyMethods: MethodsOf<JoinKeyStore> = {
  insertJoinKey: { access: 'change', run: insertJoinKey },
  joinKeyById: { access: 'read', run: joinKeyById },
  joinKeysOf: { access: 'read', run: joinKeysOf },
  joinKeysPage: { access: 'read', run: joinKeysPage },
  revokeJoinKey: { access: 'change', run: revokeJoinKey },
};
