/** Rows for tests of the store: sensible values, a test names only what it is about. */
import type { Page } from '../../lib/page.ts';
import type { AgentRow } from '../../store/contract/agentStore.ts';
import type { ApiKeyRow } from '../../store/contract/apiKeyStore.ts';
import type { AuditNote } from '../../store/contract/auditStore.ts';
import type { JoinKeyRow } from '../../store/contract/joinKeyStore.ts';
import type { UserRow } from '../../store/contract/peopleStore.ts';
import type { BootstrapRows } from '../../store/contract/platformStore.ts';
import type { ProjectRow } from '../../store/contract/projectStore.ts';
import type { UsageRow } from '../../store/contract/usageStore.ts';
import { sha256Hex } from '../../lib/crypto/hashing.ts';
import {
  agentEntry,
  apiKeyEntry,
  endpointEntry,
  modelEntry,
  projectEntry,
} from '../router/directoryEntries.ts';

/** The time at which everything in these rows began, in epoch ms. */
export const startMs = Date.UTC(2026, 0, 1);

/** The secret's hash of every join key of `joinKeyRow`. */
export const joinSecretHash = sha256Hex('join secret');

export function userRow(over: Partial<UserRow> = {}): UserRow {
  return {
    id: 'user_a',
    email: 'admin@example.org',
    passwordHash: 'scrypt$1',
    role: 'admin',
    mustChangePassword: true,
    secondFactor: false,
    disabledAtMs: null,
    lastSignInAtMs: null,
    version: 1,
    createdAtMs: startMs,
    ...over,
  };
}

export function projectRow(over: Partial<ProjectRow> = {}): ProjectRow {
  return { ...projectEntry(), version: 1, createdAtMs: startMs, ...over };
}

export function apiKeyRow(over: Partial<ApiKeyRow> = {}): ApiKeyRow {
  return {
    ...apiKeyEntry(),
    name: 'first',
    createdAtMs: startMs,
    createdBy: 'user:user_a',
    lastFour: 'abcd',
    revokedAtMs: null,
    rotatedAtMs: null,
    lastUsedAtMs: null,
    version: 1,
    ...over,
  };
}

/** What revokes a key of `bootstrapRows`. */
export function revocation(id: string, projectId = 'proj_a') {
  return { id, projectId, nowMs: startMs, audit: auditNote({ action: 'api_key.revoke' }) };
}

/** The first page of a list. */
export const firstPage: Page = { after: null, limit: 500 };

/** A project `proj_a` with an endpoint and two keys, a catalogue model and a platform join key. */
export function bootstrapRows(over: Partial<BootstrapRows> = {}): BootstrapRows {
  return {
    admin: userRow(),
    project: projectRow(),
    models: [{ ...modelEntry({ sizeBytes: 2 ** 40, contextLength: 8_192 }), createdAtMs: startMs }],
    endpoints: [endpointEntry({ createdAtMs: startMs, region: 'eu', minimumIsolation: 'none' })],
    apiKeys: [
      apiKeyRow({ ipAllowList: ['10.0.0.0/8'], expiresAtMs: startMs + 1 }),
      apiKeyRow({
        id: 'key_b',
        sha256: 'b'.repeat(64),
        endpointId: 'ep_a',
        createdAtMs: startMs + 1,
      }),
    ],
    joinKeys: [joinKeyRow({ id: 'jk_platform', projectId: null, supportedTiers: ['free'] })],
    ...over,
  };
}

/** The note of a change by the admin of `userRow`. */
export function auditNote(over: Partial<AuditNote> = {}): AuditNote {
  return {
    atMs: startMs,
    actor: 'user:user_a',
    action: 'join_key.create',
    targetKind: 'join_key',
    targetId: 'jk_a',
    projectId: 'proj_a',
    requestId: 'req_a',
    address: '192.0.2.7',
    changes: {},
    claim: null,
    ...over,
  };
}

export function joinKeyRow(over: Partial<JoinKeyRow> = {}): JoinKeyRow {
  return {
    id: 'jk_a',
    projectId: 'proj_a',
    secretSha256: joinSecretHash,
    name: 'desk',
    region: 'local',
    supportedTiers: null,
    storageLimitBytes: null,
    maxUses: 1,
    uses: 0,
    createdAtMs: startMs,
    expiresAtMs: startMs + 900_000,
    revokedAtMs: null,
    createdBy: 'user:user_a',
    ...over,
  };
}

/** The hash of the rotation token of a generation, as the control plane would derive it. */
export function tokenHash(agentId: string, generation: number): string {
  return sha256Hex(`${agentId} ${generation}`);
}

/** An agent that `number` makes different from others in id, key pair and name. */
export function agentRow(number: number, over: Partial<AgentRow> = {}): AgentRow {
  const id = over.id ?? `agent-${String(number).padStart(4, '0')}`;
  return {
    ...agentEntry({ projectId: 'proj_a', workerId: `wrk_${number}`, name: `desk-${number}` }),
    id,
    publicKey: `public-key-${number}`,
    supportedTiers: ['self_hosted'],
    boundEndpointIds: ['ep_a'],
    storageLimitBytes: 2 ** 42,
    description: 'under the desk',
    joinKeyId: 'jk_a',
    facts: '{"cpu":"8 cores"}',
    tokenHash: tokenHash(id, 1),
    previousTokenHash: null,
    createdAtMs: startMs,
    stateSinceMs: startMs,
    suspendedReason: null,
    version: 1,
    ...over,
  };
}

export function usageRow(number: number, over: Partial<UsageRow> = {}): UsageRow {
  return {
    requestId: `req_${String(number).padStart(6, '0')}`,
    projectId: 'proj_a',
    endpointId: 'ep_a',
    endpointSlug: 'main',
    apiKeyId: 'key_a',
    modelId: 'model_a',
    agentId: 'agent-0001',
    tier: 'self_hosted',
    startedAtMs: startMs + number,
    inputTokens: 12,
    cachedTokens: 0,
    outputTokens: 34,
    ttftMs: 56,
    latencyMs: 789,
    queueMs: 1,
    status: 200,
    outcome: 'completed',
    stream: true,
    usageClamped: false,
    shared: false,
    costMicros: 0,
    ...over,
  };
}
