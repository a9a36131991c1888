/**
 * Who calls, and what that lets them do. Every use-case begins with `authorizeProject` or
 * `authorizePlatform`; http only says who the caller is.
 *
 * Invariants
 * C3 Nothing is read or changed for a caller before one of these functions said yes.
 * P1 A project that does not exist and one that is somebody else's get the same answer.
 */
import type { IdempotencyClaim } from '../store/contract/idempotencyStore.ts';
import type { ProjectRow } from '../store/contract/projectStore.ts';
import type { Store } from '../store/store.ts';

/** A call as use-cases see it: who makes it, and what an audit note keeps of it. */
export interface Caller {
  principal: Principal;
  requestId: string;
  /** The client's. */
  address: string;
  /** Of the call's idempotency key (C5); null: it has none. */
  claim: IdempotencyClaim | null;
}

export type Principal =
  | { kind: 'user'; userId: string; email: string; role: 'admin' | 'user' }
  /** Signed in with a one-time password: may change it or sign out, nothing else. */
  | { kind: 'one_time_user'; userId: string; email: string; role: 'admin' | 'user' }
  | {
      kind: 'api_key';
      keyId: string;
      projectId: string;
      scopes: readonly ('inference' | 'management')[];
    }
  | { kind: 'anonymous' };

/** `owner` manages agents, join keys, endpoints and keys; `member` looks and calls. */
export type ProjectRole = 'owner' | 'member';

export type Denied = {
  ok: false;
  reason:
    | 'not_signed_in'
    | 'password_change_required'
    | 'insufficient_permissions'
    | 'project_not_found';
};

/** A person who is signed in. */
export interface SignedIn {
  ok: true;
  userId: string;
  email: string;
  role: 'admin' | 'user';
}

/** What a thing belongs to: a project (by id or slug), or the platform itself. */
export type OwnerRef = { kind: 'project'; project: string } | { kind: 'platform' };

/** The owner behind an `OwnerRef`; `projectId` null is the platform. */
export type Owner = { ok: true; projectId: string | null };

/** How the caller stands in records: `user:<id>` or `key:<id>`. */
export function actorOf(principal: Principal): string {
  switch (principal.kind) {
    case 'user':
    case 'one_time_user':
      return `user:${principal.userId}`;
    case 'api_key':
      return `key:${principal.keyId}`;
    case 'anonymous':
      return 'anonymous';
  }
}

/** Who may call at all; what they may is asked next. */
export function deniedAtAll({ kind }: Principal): Denied | undefined {
  if (kind === 'anonymous') return { ok: false, reason: 'not_signed_in' };
  return kind === 'one_time_user' ? { ok: false, reason: 'password_change_required' } : undefined;
}

/**
 * The caller's role in a project; null when it has none there. `membership` is what the store says
 * of a person. The platform's admin owns every project; a key is of one project, and of the scope
 * `management` for anything but inference.
 */
export function roleIn(
  principal: Principal,
  { projectId, membership }: { projectId: string; membership: ProjectRole | null },
): ProjectRole | null {
  switch (principal.kind) {
    case 'user':
      return principal.role === 'admin' ? 'owner' : membership;
    case 'api_key':
      if (principal.projectId !== projectId) return null;
      return principal.scopes.includes('management') ? 'owner' : null;
    case 'one_time_user':
    case 'anonymous':
      return null;
  }
}

/** C3, P1: whether the caller has at least `role` in the project with this id or slug. */
export async function authorizeProject(
  store: Pick<Store, 'projectAccess'>,
  wish: { caller: Caller; project: string; role: ProjectRole },
): Promise<{ ok: true; project: ProjectRow; role: ProjectRole } | Denied> {
  const { principal } = wish.caller;
  const no = deniedAtAll(principal);
  if (no !== undefined) return no;
  if (principal.kind === 'api_key' && !principal.scopes.includes('management')) {
    return { ok: false, reason: 'insufficient_permissions' };
  }
  const userId = principal.kind === 'user' ? principal.userId : null;
  const access = await store.projectAccess({ project: wish.project, userId });
  if (access === null) return { ok: false, reason: 'project_not_found' };
  const { project, role: membership } = access;
  const role = roleIn(principal, { projectId: project.id, membership });
  if (role === null) return { ok: false, reason: 'project_not_found' };
  if (wish.role === 'owner' && role !== 'owner') {
    return { ok: false, reason: 'insufficient_permissions' };
  }
  return { ok: true, project, role };
}

/** C3: a person, about what is their own. `evenOneTime`: also with a one-time password. */
export function authorizeSelf(
  { principal }: Caller,
  { evenOneTime = false }: { evenOneTime?: boolean } = {},
): SignedIn | Denied {
  if (principal.kind === 'api_key') return { ok: false, reason: 'insufficient_permissions' };
  if (principal.kind === 'one_time_user' && evenOneTime) return signedIn(principal);
  const no = deniedAtAll(principal);
  if (no !== undefined) return no;
  if (principal.kind !== 'user') return { ok: false, reason: 'insufficient_permissions' };
  return signedIn(principal);
}

function signedIn({ userId, email, role }: Extract<Principal, { userId: string }>): SignedIn {
  return { ok: true, userId, email, role };
}

/** C3: whether the caller is an operator. Keys belong to projects and never reach the platform. */
export function authorizePlatform({ principal }: Caller): { ok: true } | Denied {
  if (principal.kind === 'user' && principal.role === 'admin') return { ok: true };
  return deniedAtAll(principal) ?? { ok: false, reason: 'insufficient_permissions' };
}

/** C3: `authorizeProject` or `authorizePlatform`, by what the thing belongs to. */
export async function authorizeOwner(
  store: Pick<Store, 'projectAccess'>,
  wish: { caller: Caller; owner: OwnerRef; role: ProjectRole },
): Promise<Owner | Denied> {
  const { caller, owner, role } = wish;
  if (owner.kind === 'platform') {
    const allowed = authorizePlatform(caller);
    return allowed.ok ? { ok: true, projectId: null } : allowed;
  }
  const allowed = await authorizeProject(store, { caller, project: owner.project, role });
  return allowed.ok ? { ok: true, projectId: allowed.project.id } : allowed;
}
