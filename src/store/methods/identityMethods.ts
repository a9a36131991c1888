import type { IdentityStore } from '../contract/identityStore.ts';
import { insertUserWithIdentity, linkIdentity, userByIdentity } from '../people/identities.ts';
import type { MethodsOf } from './method.ts';

export const identityMethods: MethodsOf<IdentityStore> = {
  userByIdentity: { access: 'read', run: userByIdentity },
  linkIdentity: { access: 'change', run: linkIdentity },
  insertUserWithIdentity: { access: 'change', run: insertUserWithIdentity },
};
