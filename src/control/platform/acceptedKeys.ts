/**
 * Which keys of a `credentials.json` belong to this platform: how a start finds out which side of a
 * commit a crash was on (B2), and whether somebody has rotated or revoked them since.
 */
import type { ApiKeyRow } from '../../store/contract/apiKeyStore.ts';
import { apiKeyHash } from '../apiKeys/apiKeyText.ts';
import type { ControlParts } from '../parts.ts';

export interface CredentialKeys {
  /** Scope `inference`. */
  apiKey: string;
  /** Scope `management`. */
  managementKey: string;
}

export type AcceptedKeys = Record<keyof CredentialKeys, boolean>;

type Parts = Pick<ControlParts, 'store' | 'clock'>;

/** Present values only: one that a rotation has left its grace is on its way out. */
export async function acceptedKeys(parts: Parts, keys: CredentialKeys): Promise<AcceptedKeys> {
  return {
    apiKey: await isAccepted(parts, { text: keys.apiKey, scope: 'inference' }),
    managementKey: await isAccepted(parts, { text: keys.managementKey, scope: 'management' }),
  };
}

async function isAccepted(
  { store, clock }: Parts,
  { text, scope }: { text: string; scope: 'inference' | 'management' },
): Promise<boolean> {
  const key = await store.apiKeyByHash(apiKeyHash(text));
  return key !== null && isLiving(key, clock.now()) && key.scopes.includes(scope);
}

/** Neither revoked nor expired. */
export function isLiving(key: ApiKeyRow, nowMs: number): boolean {
  return !key.revoked && (key.expiresAtMs === null || key.expiresAtMs > nowMs);
}
