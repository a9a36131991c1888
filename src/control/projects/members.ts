/**
 * Who belongs to a project. Members see each other; owners change roles and let people go, but for
 * the last owner; everybody may leave. Who is new comes by invitation, or by an operator's hand:
 * owners learn nothing of accounts that are not in their project.
 */
import type { Page, Paged } from '../../lib/page.ts';
import type { MemberRow } from '../../store/contract/memberStore.ts';
import type { ProjectRow } from '../../store/contract/projectStore.ts';
import { auditOf } from '../audit.ts';
import type { ControlParts } from '../parts.ts';
import {
  authorizePlatform,
  authorizeProject,
  authorizeSelf,
  type Caller,
  type Denied,
  type ProjectRole,
} from '../principal.ts';

type Parts = Pick<ControlParts, 'store' | 'clock'>;

/** Nothing of a membership is hidden from the project's people. */
export type MemberView = MemberRow;

type NotFound = { ok: false; reason: 'not_found' };

export type MemberOutcome =
  | { ok: true; member: MemberView }
  | NotFound
  | { ok: false; reason: 'already_member' | 'last_owner' }
  | Denied;

interface OfProject {
  caller: Caller;
  project: string;
}

/** C3: people are a matter of people; a key is refused whatever its scope. */
export async function authorizePerson(
  store: Pick<ControlParts['store'], 'projectAccess'>,
  wish: OfProject & { role: ProjectRole },
): Promise<{ ok: true; project: ProjectRow; userId: string } | Denied> {
  const self = authorizeSelf(wish.caller);
  if (!self.ok) return self;
  const allowed = await authorizeProject(store, wish);
  return allowed.ok ? { ok: true, project: allowed.project, userId: self.userId } : allowed;
}

/** Oldest first. */
export async function listMembers(
  { store }: Pick<Parts, 'store'>,
  { page, ...wish }: OfProject & { page: Page },
): Promise<{ ok: true; page: Paged<MemberView> } | Denied> {
  const allowed = await authorizePerson(store, { ...wish, role: 'member' });
  if (!allowed.ok) return allowed;
  return { ok: true, page: await store.membersOf({ projectId: allowed.project.id, page }) };
}

/** By an operator: somebody who has an account already. */
export async function addMember(
  parts: Parts,
  input: OfProject & { email: string; role: ProjectRole },
): Promise<MemberOutcome> {
  const operator = authorizePlatform(input.caller);
  if (!operator.ok) return operator;
  const allowed = await authorizePerson(parts.store, { ...input, role: 'owner' });
  if (!allowed.ok) return allowed;
  const { id: projectId } = allowed.project;
  const user = await parts.store.userByEmail(input.email.trim());
  if (user === null) return { ok: false, reason: 'not_found' };
  const outcome = await parts.store.addMember({
    projectId,
    userId: user.id,
    role: input.role,
    nowMs: parts.clock.now(),
    audit: auditOf(parts, input.caller, {
      action: 'member.add',
      target: user.id,
      projectId,
      changes: { role: { from: null, to: input.role } },
    }),
  });
  if (outcome.ok) return outcome;
  return outcome.reason === 'unknown' ? notFound : { ok: false, reason: 'already_member' };
}

const notFound: NotFound = { ok: false, reason: 'not_found' };

export async function setMemberRole(
  parts: Parts,
  input: OfProject & { userId: string; role: ProjectRole },
): Promise<MemberOutcome> {
  const allowed = await authorizePerson(parts.store, { ...input, role: 'owner' });
  if (!allowed.ok) return allowed;
  const { id: projectId } = allowed.project;
  const outcome = await parts.store.setMemberRole({
    projectId,
    userId: input.userId,
    role: input.role,
    audit: auditOf(parts, input.caller, {
      action: 'member.update',
      target: input.userId,
      projectId,
    }),
  });
  if (outcome.ok) return outcome;
  return outcome.reason === 'unknown' ? notFound : { ok: false, reason: 'last_owner' };
}

/** An owner lets somebody go, or somebody leaves. */
export async function removeMember(
  parts: Parts,
  input: OfProject & { userId: string },
): Promise<{ ok: true } | NotFound | { ok: false; reason: 'last_owner' } | Denied> {
  const { principal } = input.caller;
  const leaves = principal.kind === 'user' && principal.userId === input.userId;
  const role = leaves ? 'member' : 'owner';
  const allowed = await authorizePerson(parts.store, { ...input, role });
  if (!allowed.ok) return allowed;
  const { id: projectId } = allowed.project;
  const outcome = await parts.store.removeMember({
    projectId,
    userId: input.userId,
    audit: auditOf(parts, input.caller, {
      action: leaves ? 'member.leave' : 'member.remove',
      target: input.userId,
      projectId,
    }),
  });
  if (outcome.ok) return outcome;
  return outcome.reason === 'unknown' ? notFound : { ok: false, reason: 'last_owner' };
}
