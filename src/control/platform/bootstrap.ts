/**
 * The first start: an admin, the project `default` with its keys, a catalogue model, the endpoints
 * `default` and `own` on it, and a platform join key for the first shared agent.
 *
 * Invariants
 * B1 All rows are written in one transaction, or none.
 * B2 The caller has kept the secrets in the clear before the rows are committed: whatever crashes
 *    in between, there is never a platform whose keys nobody has.
 */
import { newId } from '../../lib/ids.ts';
import { longestQueueTimeoutMs } from '../../domain/limits.ts';
import type { TierSlug } from '../../domain/tiers/tiers.ts';
import type { EndpointEntry, ModelEntry } from '../../domain/directory.ts';
import type { ApiKeyRow } from '../../store/contract/apiKeyStore.ts';
import type { BootstrapRows } from '../../store/contract/platformStore.ts';
import { newApiKeyRow } from '../apiKeys/apiKeyText.ts';
import { oneTimePassword } from '../access/newPassword.ts';
import type { Passwords } from '../access/password.ts';
import { newJoinKey } from '../enrolment/createJoinKey.ts';
import type { ControlParts } from '../parts.ts';

export const defaultProjectSlug = 'default';
export const defaultEndpointSlug = 'default';
export const ownEndpointSlug = 'own';

/** A tier that shared agents can serve. */
export type SharedTier = Exclude<TierSlug, 'self_hosted'>;

/** A catalogue model, as the configuration names it. */
export type ModelWish = Omit<ModelEntry, 'id' | 'projectId' | 'approvedForShared'>;

export interface BootstrapInput {
  adminEmail: string;
  /** Tier of the endpoint `default`, and of the shared agent that the join key enrols. */
  tier: SharedTier;
  model: ModelWish;
  /**
   * B2: gets all secrets before anything is committed and keeps them where a crash leaves them
   * (a file, synced). If it rejects, nothing is written.
   */
  keep: (credentials: BootstrapCredentials) => Promise<void>;
}

/** Everything that exists in the clear only here. */
export interface BootstrapCredentials {
  project: { id: string; slug: string };
  admin: { email: string; password: string };
  /** Scope `inference`. */
  apiKey: string;
  /** Scope `management`. */
  managementKey: string;
  joinKey: { id: string; text: string; expiresAtMs: number };
}

export type BootstrapOutcome =
  | { ok: true; credentials: BootstrapCredentials }
  | { ok: false; reason: 'already_bootstrapped' };

type Parts = Pick<ControlParts, 'store' | 'clock' | 'random' | 'log' | 'config'>;

export async function bootstrap(
  parts: Parts & { passwords: Passwords },
  input: BootstrapInput,
): Promise<BootstrapOutcome> {
  if (await parts.store.isBootstrapped()) return { ok: false, reason: 'already_bootstrapped' };
  const password = oneTimePassword(parts.random);
  const passwordHash = await parts.passwords.hash(password);
  const { rows, credentials } = firstRows(parts, { ...input, password, passwordHash });
  await input.keep(credentials);
  const outcome = await parts.store.bootstrap(rows);
  if (!outcome.ok) return outcome;
  parts.log.info({ tier: input.tier, model: input.model.name }, 'platform set up');
  return { ok: true, credentials };
}

function firstRows(
  parts: Parts,
  input: BootstrapInput & { password: string; passwordHash: string },
): { rows: BootstrapRows; credentials: BootstrapCredentials } {
  const { random, clock } = parts;
  const createdAtMs = clock.now();
  const slug = defaultProjectSlug;
  const projectId = newId('proj', random);
  const modelId = newId('mdl', random);
  const email = input.adminEmail.trim().toLowerCase();
  const inference = newApiKey(parts, { projectId, scope: 'inference', name: 'first key' });
  const management = newApiKey(parts, { projectId, scope: 'management', name: 'command line' });
  const joinKey = sharedAgentKey(parts, input.tier);
  const rows: BootstrapRows = {
    admin: {
      id: newId('usr', random),
      email,
      passwordHash: input.passwordHash,
      role: 'admin',
      mustChangePassword: true,
      secondFactor: false,
      disabledAtMs: null,
      lastSignInAtMs: null,
      version: 1,
      createdAtMs,
    },
    project: { id: projectId, slug, name: 'Default', sharedAccess: true, version: 1, createdAtMs },
    apiKeys: [inference.row, management.row],
    models: [{ ...input.model, id: modelId, projectId: null, createdAtMs }],
    endpoints: [
      newEndpoint(parts, { projectId, modelId, slug: defaultEndpointSlug, tier: input.tier }),
      newEndpoint(parts, { projectId, modelId, slug: ownEndpointSlug, tier: 'self_hosted' }),
    ],
    joinKeys: [joinKey.row],
  };
  const { id, expiresAtMs } = joinKey.row;
  const credentials = {
    project: { id: projectId, slug },
    admin: { email, password: input.password },
    apiKey: inference.text,
    managementKey: management.text,
    joinKey: { id, text: joinKey.text, expiresAtMs },
  };
  return { rows, credentials };
}

function newApiKey(
  parts: Parts,
  key: { projectId: string; scope: 'inference' | 'management'; name: string },
): { row: ApiKeyRow; text: string } {
  const { projectId, scope, name } = key;
  const project = { id: projectId, slug: defaultProjectSlug };
  return newApiKeyRow(parts, { project, name, scopes: [scope], createdBy: 'system' });
}

/** An endpoint with every option at its default. */
function newEndpoint(
  { random, clock, config }: Parts,
  given: Pick<EndpointEntry, 'projectId' | 'modelId' | 'slug' | 'tier'>,
): EndpointEntry {
  return {
    ...given,
    id: newId('ep', random),
    active: true,
    fallback: { enabled: config.tiers[given.tier].fallbackByDefault, afterMs: 0, tier: null },
    region: null,
    exclusive: false,
    minimumIsolation: null,
    resume: false,
    queueTimeoutMs: longestQueueTimeoutMs,
    createdAtMs: clock.now(),
  };
}

function sharedAgentKey(parts: Parts, tier: SharedTier) {
  const wish = { name: 'local', supportedTiers: [tier] };
  const made = newJoinKey(parts, { projectId: null, wish, createdBy: 'system' });
  if (!made.ok) throw new Error(`the first join key is refused: ${made.message}`);
  return made;
}
