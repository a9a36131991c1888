import type { PeopleStore } from '../contract/peopleStore.ts';
import {
  deleteExpiredSessions,
  deleteSession,
  insertSession,
  insertUser,
  sessionByHash,
  setPassword,
  updateUser,
  userByEmail,
  userById,
  users,
} from '../people/people.ts';
import type { MethodsOf } from './method.ts';

export const peopleMethods: MethodsOf<PeopleStore> = {
  userByEmail: { access: 'read', run: userByEmail },
  userById: { access: 'read', run: userById },
  users: { access: 'read', run: users },
  insertUser: { access: 'change', run: insertUser },
  updateUser: { access: 'change', run: updateUser },
  setPassword: { access: 'change', run: setPassword },
  insertSession: { access: 'write', run: insertSession },
  sessionByHash: { access: 'read', run: sessionByHash },
  deleteSession: { access: 'write', run: deleteSession },
  deleteExpiredSessions: { access: 'upkeep', run: deleteExpiredSessions },
};
