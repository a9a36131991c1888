import type { JoinKeyStore } from '../contract/joinKeyStore.ts';
import {
  deleteOldJoinKeys,
  insertJoinKey,
  joinKeyById,
  joinKeysPage,
  revokeJoinKey,
} from '../agents/joinKeys.ts';
import type { MethodsOf } from './method.ts';

export const joinKeyMethods: MethodsOf<JoinKeyStore> = {
  insertJoinKey: { access: 'change', run: insertJoinKey },
  joinKeyById: { access: 'read', run: joinKeyById },
  joinKeysPage: { access: 'read', run: joinKeysPage },
  revokeJoinKey: { access: 'change', run: revokeJoinKey },
  deleteOldJoinKeys: { access: 'upkeep', run: deleteOldJoinKeys },
};
