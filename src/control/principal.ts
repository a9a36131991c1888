/**
 * Who calls, and what that lets them do. Every use-case begins with `authorizeProject` or
 * `authorizePlatform`; http only says who the caller is.
 *
 * Invariants
 * C3 Nothing is read or changed for a caller before one of these functions said yes.
 * P1 A project that does not exist and one that is somebody else's get the same answer.
 */
import type { ProjectEntry } from '../domain/directory.ts';
import type { IdempotencyClaim } from '../store/contract/idempotencyStore.ts';
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
  reason: 'not_signed_in' | 'insufficient_permissions' | 'project_not_found';
};

/** What a thing belongs to: a project (by id or slug), or the platform itself. */
export type OwnerRef = { kind: 'project'; project: string } | { kind: 'platform' };

/** The owner behind an `OwnerRef`; `projectId` null is the platform. */
export type Owner = { ok: true; projectId: string | null };

/** How the caller stands in records: `user:<id>` or `key:<id>`. */
export function actorOf(principal: Principal): string {
  if (principal.kind === 'user') return `user:${principal.userId}`;
  return principal.kind === 'api_key' ? `key:${principal.keyId}` : 'anonymous';
}

/**
 * The caller's role in a project; null when it has none there. The platform's admin owns every
 * project; a key is of one project, and of the scope `management` for anything but inference.
 */
export function roleIn(principal: Principal, project: ProjectEntry): ProjectRole | null {
  if (principal.kind === 'user') return principal.role === 'admin' ? 'owner' : null;
  if (principal.kind === 'anonymous' || principal.projectId !== project.id) return null;
  return principal.scopes.includes('management') ? 'owner' : null;
}

/** C3, P1: whether the caller has at least `role` in the project with this id or slug. */
export async function authorizeProject(
  store: Pick<Store, 'projects'>,
  wish: { caller: Caller; project: string; role: ProjectRole },
): Promise<{ ok: true; project: ProjectEntry; role: ProjectRole } | Denied> {
  const { principal } = wish.caller;
  if (principal.kind === 'anonymous') return { ok: false, reason: 'not_signed_in' };
  if (principal.kind === 'api_key' && !principal.scopes.includes('management')) {
    return { ok: false, reason: 'insufficient_permissions' };
  }
  const all = await store.projects();
  const project =
    all.find((entry) => entry.id === wish.project) ??
    all.find((entry) => entry.slug === wish.project);
  const role = project === undefined ? null : roleIn(principal, project);
  if (project === undefined || role === null) return { ok: false, reason: 'project_not_found' };
  if (wish.role === 'owner' && role !== 'owner') {
    return { ok: false, reason: 'insufficient_permissions' };
  }
  return { ok: true, project, role };
}

/** C3: whether the caller is an operator. Keys belong to projects and never reach the platform. */
export function authorizePlatform({ principal }: Caller): { ok: true } | Denied {
  if (principal.kind === 'anonymous') return { ok: false, reason: 'not_signed_in' };
  if (principal.kind === 'user' && principal.role === 'admin') return { ok: true };
  return { ok: false, reason: 'insufficient_permissions' };
}

/** C3: `authorizeProject` or `authorizePlatform`, by what the thing belongs to. */
export async function authorizeOwner(
  store: Pick<Store, 'projects'>,
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
