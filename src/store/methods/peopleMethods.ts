import type { PeopleStore } from '../contract/peopleStore.ts';
import {
  deleteExpiredSessions,
  deleteSession,
  insertSession,
  sessionByHash,
  userByEmail,
  userById,
} from '../queries/people.ts';
import type { MethodsOf } from './method.ts';

export const peopleMethods: MethodsOf<PeopleStore> = {
  userByEmail: { access: 'read', run: userByEmail },
  userById: { access: 'read', run: userById },
  insertSession: { access: 'write', run: insertSession },
  sessionByHash: { access: 'read', run: sessionByHash },
  deleteSession: { access: 'write', run: deleteSession },
  deleteExpiredSessions: { access: 'write', run: deleteExpiredSessions },
};
