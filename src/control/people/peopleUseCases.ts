/** Accounts, by operators. */
import { dropSecondFactor, updateUser } from './changeUser.ts';
import { listUsers, userOf } from './users.ts';

export const peopleUseCases = {
  users: listUsers,
  user: userOf,
  updateUser,
  dropSecondFactor,
};
