/** Accounts, for operators: all of them, and one. */
import { mapPage, type Page, type Paged } from '../../lib/page.ts';
import type { ControlParts } from '../parts.ts';
import { authorizePlatform, type Caller, type Denied } from '../principal.ts';
import { userView, type UserView } from './userView.ts';

type Parts = Pick<ControlParts, 'store'>;

/** Oldest first. */
export async function listUsers(
  { store }: Parts,
  { caller, page }: { caller: Caller; page: Page },
): Promise<{ ok: true; page: Paged<UserView> } | Denied> {
  const allowed = authorizePlatform(caller);
  if (!allowed.ok) return allowed;
  return { ok: true, page: mapPage(await store.users({ page }), userView) };
}

export async function userOf(
  { store }: Parts,
  { caller, userId }: { caller: Caller; userId: string },
): Promise<{ ok: true; user: UserView } | { ok: false; reason: 'not_found' } | Denied> {
  const allowed = authorizePlatform(caller);
  if (!allowed.ok) return allowed;
  const user = await store.userById(userId);
  return user === null ? { ok: false, reason: 'not_found' } : { ok: true, user: userView(user) };
}
