/** Projects: made, changed, deleted. */
import { newId } from '../../lib/ids.ts';
import { slugFrom, slugProblem, slugProblemText } from '../../lib/text/slug.ts';
import type { ProjectRow } from '../../store/contract/projectStore.ts';
import { auditOf } from '../audit.ts';
import { invalidParam, type InvalidField } from '../invalidField.ts';
import { longestProjectName, ownedProjectsPerUser } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { authorizeProject, authorizeSelf, type Caller, type Denied } from '../principal.ts';
import type { ProjectView } from './projects.ts';

type Parts = Pick<ControlParts, 'store' | 'clock'>;

/**
 * Until shared agents run in a sandbox, two projects meet in one engine: only where the operator
 * says so.
 */
interface AnotherShares {
  ok: false;
  reason: 'another_shares';
}

export type CreateProjectOutcome =
  | ({ ok: true } & ProjectView)
  | InvalidField<'name' | 'slug'>
  | { ok: false; reason: 'slug_taken' }
  | AnotherShares
  | { ok: false; reason: 'too_many_projects'; limit: number }
  | Denied;

/**
 * Who makes a project owns it. Operators may, and others where the configuration says so, up to
 * `ownedProjectsPerUser`. Without a slug, one is made of the name.
 */
export async function createProject(
  parts: Parts & Pick<ControlParts, 'random' | 'config'>,
  input: {
    caller: Caller;
    name: string;
    slug?: string | undefined;
    /** Whether shared agents may serve it: by default they may. */
    sharedAccess?: boolean | undefined;
  },
): Promise<CreateProjectOutcome> {
  const { caller } = input;
  const self = authorizeSelf(caller);
  if (!self.ok) return self;
  const isAdmin = self.role === 'admin';
  if (!isAdmin && !parts.config.usersCreateProjects) {
    return { ok: false, reason: 'insufficient_permissions' };
  }
  const name = readName(input.name);
  if (!name.ok) return name;
  const slug = readSlug(input.slug ?? slugFrom(name.name) ?? '');
  if (!slug.ok) return slug;
  const project: ProjectRow = {
    id: newId('proj', parts.random),
    slug: slug.slug,
    name: name.name,
    sharedAccess: input.sharedAccess ?? true,
    version: 1,
    createdAtMs: parts.clock.now(),
  };
  const outcome = await parts.store.insertProject({
    project,
    ownerId: self.userId,
    ownedLimit: isAdmin ? null : ownedProjectsPerUser,
    sharesAlone: !parts.config.allowUnsandboxed,
    audit: auditOf(parts, caller, {
      action: 'project.create',
      target: project.id,
      projectId: project.id,
      changes: { slug: { from: null, to: project.slug }, name: { from: null, to: project.name } },
    }),
  });
  if (outcome.ok) return { ok: true, project, role: 'owner' };
  if (outcome.reason !== 'too_many') return { ok: false, reason: outcome.reason };
  return { ok: false, reason: 'too_many_projects', limit: ownedProjectsPerUser };
}

function readName(text: string): { ok: true; name: string } | InvalidField<'name'> {
  const name = text.trim();
  if (name === '') return invalidParam('name', 'is empty; give it a name');
  if (name.length > longestProjectName) {
    const most = `at most ${longestProjectName} may be`;
    return invalidParam('name', `has ${name.length} characters; ${most}`);
  }
  if (/[\p{Cc}\p{Cs}]/u.test(name)) {
    return invalidParam('name', 'holds control characters; leave them out');
  }
  return { ok: true, name };
}

function readSlug(slug: string): { ok: true; slug: string } | InvalidField<'slug'> {
  const problem = slugProblem(slug);
  if (problem === undefined) return { ok: true, slug };
  return invalidParam('slug', `cannot be '${slug.slice(0, 80)}': ${slugProblemText[problem]}`);
}

export type UpdateProjectOutcome =
  | ({ ok: true } & ProjectView)
  | InvalidField<'name'>
  | { ok: false; reason: 'version_conflict' }
  | AnotherShares
  /** Only an operator gives shared access. */
  | { ok: false; reason: 'shared_access_by_operator' }
  | Denied;

/**
 * An owner may take the project's shared access away, since it costs and since bodies leave for
 * machines of others; an operator alone gives it, whose machines these are.
 */
export async function updateProject(
  parts: Parts & Pick<ControlParts, 'config'>,
  input: {
    caller: Caller;
    project: string;
    expectedVersion: number | null;
    name?: string | undefined;
    sharedAccess?: boolean | undefined;
  },
): Promise<UpdateProjectOutcome> {
  const { caller, expectedVersion, sharedAccess } = input;
  const allowed = await authorizeProject(parts.store, { ...input, role: 'owner' });
  if (!allowed.ok) return allowed;
  const { project, role } = allowed;
  const name = readName(input.name ?? project.name);
  if (!name.ok) return name;
  const isAdmin = caller.principal.kind === 'user' && caller.principal.role === 'admin';
  if (sharedAccess === true && !project.sharedAccess && !isAdmin) {
    return { ok: false, reason: 'shared_access_by_operator' };
  }
  const { id } = project;
  const outcome = await parts.store.updateProject({
    id,
    expectedVersion,
    change: {
      ...(input.name === undefined ? {} : { name: name.name }),
      ...(sharedAccess === undefined ? {} : { sharedAccess }),
    },
    sharesAlone: !parts.config.allowUnsandboxed,
    audit: auditOf(parts, caller, { action: 'project.update', target: id, projectId: id }),
  });
  if (outcome.ok) return { ok: true, project: outcome.project, role };
  if (outcome.reason === 'unknown') return { ok: false, reason: 'project_not_found' };
  return { ok: false, reason: outcome.reason };
}

export type DeleteProjectOutcome =
  | { ok: true; id: string }
  | { ok: false; reason: 'project_in_use'; endpoints: number; agents: number }
  | Denied;

/** Refused while something of it could still serve; there is no way to take it all down at once. */
export async function deleteProject(
  parts: Parts,
  input: { caller: Caller; project: string },
): Promise<DeleteProjectOutcome> {
  const allowed = await authorizeProject(parts.store, { ...input, role: 'owner' });
  if (!allowed.ok) return allowed;
  const { id, slug } = allowed.project;
  const audit = auditOf(parts, input.caller, {
    action: 'project.delete',
    target: id,
    projectId: id,
    changes: { slug: { from: slug, to: null } },
  });
  const outcome = await parts.store.deleteProject({ id, audit });
  if (outcome.ok) return { ok: true, id };
  if (outcome.reason === 'unknown') return { ok: false, reason: 'project_not_found' };
  return { ...outcome, reason: 'project_in_use' };
}
