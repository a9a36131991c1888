/**
 * New values for the two keys of the first start, when `credentials.json` is lost: only hashes of
 * the old ones are stored. Asked for by whoever starts the server, who has the database anyway.
 *
 * Invariants
 * B3 As B2: the caller has kept everything in the clear before the first change is committed. The
 *    changes are several transactions; what a crash leaves between them is completed by the next
 *    renewal, which keeps every value that the platform already knows.
 * B4 Keys that anybody but the platform has made are left alone.
 */
import type { Place } from '../../lib/page.ts';
import type { ApiKeyRow } from '../../store/contract/apiKeyStore.ts';
import type { ProjectRow } from '../../store/contract/projectStore.ts';
import { oneTimePassword } from '../access/newPassword.ts';
import type { Passwords } from '../access/password.ts';
import { newApiKeyRow, newApiKeyText } from '../apiKeys/apiKeyText.ts';
import { auditOf } from '../audit.ts';
import { listRows, livingApiKeysPerProject, rotationGraceMs } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { isLiving, type CredentialKeys } from './acceptedKeys.ts';
import { defaultProjectSlug } from './bootstrap.ts';

/** `password`: a one-time one that nobody has used. */
export interface FirstAdmin {
  email: string;
  password?: string;
}

export interface RenewInput {
  /** What was found and is accepted; it stays as it is. */
  known: Partial<CredentialKeys> & { admin?: FirstAdmin };
  /** B3: gets everything before anything is committed. If it rejects, nothing is changed. */
  keep: (credentials: RenewedCredentials) => Promise<void>;
}

export interface RenewedCredentials extends CredentialKeys {
  project: { id: string; slug: string };
  admin: FirstAdmin;
}

export type RenewOutcome =
  | { ok: true; credentials: RenewedCredentials }
  /** The project of the first start was deleted. */
  | { ok: false; reason: 'project_not_found' }
  | { ok: false; reason: 'too_many_api_keys' }
  /** Somebody else changed these keys at the same time: try again. */
  | { ok: false; reason: 'changed_meanwhile' };

type Refusal = Extract<RenewOutcome, { ok: false }>;
type Parts = Pick<ControlParts, 'store' | 'clock' | 'random' | 'log'>;

/**
 * The lost API key stays good for a day, so that clients can be moved; the lost management key ends
 * now. An admin who has not yet signed in gets another one-time password, since the lost one stood
 * in the same file.
 */
export async function renewCredentials(
  parts: Parts & { passwords: Passwords },
  { known, keep }: RenewInput,
): Promise<RenewOutcome> {
  const { store, log } = parts;
  const access = await store.projectAccess({ project: defaultProjectSlug, userId: null });
  if (access === null) return { ok: false, reason: 'project_not_found' };
  const { project } = access;
  const first = await keysOfThePlatform(parts, project.id);
  const inference = newValue(parts, { ...first, project, scope: 'inference' });
  const management = newValue(parts, { ...first, project, scope: 'management' });
  const admin = known.admin === undefined ? await renewedAdmin(parts) : { shown: known.admin };
  const credentials: RenewedCredentials = {
    project: { id: project.id, slug: project.slug },
    apiKey: known.apiKey ?? inference.text,
    managementKey: known.managementKey ?? management.text,
    admin: admin.shown,
  };
  await keep(credentials);
  const commits = [
    admin.commit,
    known.apiKey === undefined ? inference.commit : undefined,
    known.managementKey === undefined ? management.commit : undefined,
  ];
  for (const commit of commits) {
    const refusal = await commit?.();
    if (refusal !== undefined) return refusal;
  }
  log.info({ project: project.slug }, 'credentials renewed');
  return { ok: true, credentials };
}

type Scope = 'inference' | 'management';

/** B4: the oldest living ones of either scope. */
async function keysOfThePlatform(
  { store, clock }: Parts,
  projectId: string,
): Promise<Partial<Record<Scope, ApiKeyRow>>> {
  const found: Partial<Record<Scope, ApiKeyRow>> = {};
  let after: Place | null = null;
  do {
    const page: Awaited<ReturnType<typeof store.apiKeysOf>> = await store.apiKeysOf({
      projectId,
      page: { after, limit: listRows },
    });
    for (const key of page.items) {
      // Null: from before it was written down, when there were no others.
      if (!isLiving(key, clock.now()) || (key.createdBy ?? 'system') !== 'system') continue;
      const [scope, ...others] = key.scopes;
      if (scope !== undefined && others.length === 0) found[scope] ??= key;
    }
    after = page.next;
  } while (after !== null);
  return found;
}

type Commit = () => Promise<Refusal | undefined>;

interface NewValue {
  text: string;
  commit: Commit;
}

const names = { inference: 'first key', management: 'command line' } as const;
const graces = { inference: rotationGraceMs, management: 0 } as const;

/** In place, so that name, quota and bounds stay; where there is no such key, another one. */
function newValue(
  parts: Parts,
  given: Partial<Record<Scope, ApiKeyRow>> & { project: ProjectRow; scope: Scope },
): NewValue {
  const { project, scope } = given;
  const present = given[scope];
  return present === undefined
    ? addedKey(parts, { project, scope })
    : rotatedKey(parts, { project, scope, present });
}

function rotatedKey(
  parts: Parts,
  given: { project: ProjectRow; scope: Scope; present: ApiKeyRow },
): NewValue {
  const { store, clock, random } = parts;
  const { project, scope, present } = given;
  const { id } = present;
  const value = newApiKeyText({ projectSlug: project.slug, random });
  return {
    text: value.text,
    async commit() {
      const nowMs = clock.now();
      const graceUntilMs = nowMs + graces[scope];
      const outcome = await store.rotateApiKey({
        id,
        projectId: project.id,
        expectedVersion: present.version,
        sha256: value.sha256,
        lastFour: value.lastFour,
        nowMs,
        graceUntilMs,
        audit: auditOf(parts, 'system', {
          action: 'api_key.rotate',
          target: id,
          projectId: project.id,
          changes: { graceUntilMs: { from: null, to: graceUntilMs } },
        }),
      });
      return outcome.ok ? undefined : { ok: false, reason: 'changed_meanwhile' };
    },
  };
}

function addedKey(
  parts: Parts,
  { project, scope }: { project: ProjectRow; scope: Scope },
): NewValue {
  const wish = { project, name: names[scope], scopes: [scope], createdBy: 'system' };
  const { row, text } = newApiKeyRow(parts, wish);
  return {
    text,
    async commit() {
      const outcome = await parts.store.insertApiKey({
        key: row,
        livingLimit: livingApiKeysPerProject,
        audit: auditOf(parts, 'system', {
          action: 'api_key.create',
          target: row.id,
          projectId: project.id,
          changes: {
            name: { from: null, to: row.name },
            scopes: { from: null, to: row.scopes },
          },
        }),
      });
      if (outcome.ok) return undefined;
      if (outcome.reason === 'too_many') return { ok: false, reason: 'too_many_api_keys' };
      return { ok: false, reason: 'project_not_found' };
    },
  };
}

/** Who has never changed the one-time password cannot sign in once it is lost. */
async function renewedAdmin(
  parts: Parts & { passwords: Passwords },
): Promise<{ shown: FirstAdmin; commit?: Commit }> {
  const { store, random } = parts;
  const { items } = await store.users({ page: { after: null, limit: 1 } });
  const [oldest] = items;
  // Accounts are never deleted.
  if (oldest === undefined) throw new Error('a platform without an account');
  const { id, email, mustChangePassword, disabledAtMs, passwordHash } = oldest;
  if (!mustChangePassword || disabledAtMs !== null) return { shown: { email } };
  const password = oneTimePassword(random);
  return {
    shown: { email, password },
    async commit() {
      const audit = { action: 'user.reset_password', target: id, projectId: null } as const;
      const outcome = await store.setPassword({
        userId: id,
        passwordHash: await parts.passwords.hash(password),
        mustChangePassword: true,
        expectedHash: passwordHash ?? undefined,
        keepSessionSha256: null,
        audit: auditOf(parts, 'system', audit),
      });
      return outcome.ok ? undefined : { ok: false, reason: 'changed_meanwhile' };
    },
  };
}
