/**
 * What a key that calls is bound to: no key that it makes, changes or takes the value of may open
 * more than it does itself. People, and keys that nothing binds, are not held to it.
 *
 * Quotas are no part of it: two keys within one quota each may use twice as much anyway.
 */
import { isWithinRanges } from '../../lib/network/addressRanges.ts';
import type { ApiKeyRow } from '../../store/contract/apiKeyStore.ts';
import { invalidParam, type InvalidField } from '../invalidField.ts';
import type { ControlParts } from '../parts.ts';
import type { Caller } from '../principal.ts';
import type { ApiKeyField } from './apiKeyFields.ts';

export type KeyBounds = Pick<ApiKeyRow, 'endpointId' | 'ipAllowList' | 'expiresAtMs'>;

/** Null: the caller is a person. A key that is gone meanwhile is bound to nothing that there is. */
export async function boundsOf(
  { store }: Pick<ControlParts, 'store'>,
  { principal }: Caller,
): Promise<KeyBounds | null> {
  if (principal.kind !== 'api_key') return null;
  const { keyId: id, projectId } = principal;
  const row = await store.apiKeyById({ id, projectId });
  return row ?? { endpointId: '', ipAllowList: [], expiresAtMs: 0 };
}

/**
 * The first field of a key that goes beyond the bounds; undefined: none does. Fields that are left
 * out are not looked at.
 */
export function beyondBounds(
  bounds: KeyBounds | null,
  key: Partial<KeyBounds>,
): InvalidField<ApiKeyField> | undefined {
  if (bounds === null) return undefined;
  const { endpointId, ipAllowList, expiresAtMs } = bounds;
  const beyond = 'goes beyond what the calling key is bound to: give';
  if (key.endpointId !== undefined && endpointId !== null && key.endpointId !== endpointId) {
    return invalidParam('endpoint', `${beyond} '${endpointId}', or call as a person`);
  }
  if (key.ipAllowList !== undefined && ipAllowList.length > 0) {
    const { ipAllowList: asked } = key;
    if (asked.length === 0 || !asked.every((range) => isWithinRanges(range, ipAllowList))) {
      const ranges = ipAllowList.join(', ');
      return invalidParam('ip_allow_list', `${beyond} ranges within ${ranges}`);
    }
  }
  if (key.expiresAtMs !== undefined && expiresAtMs !== null) {
    if (key.expiresAtMs === null || key.expiresAtMs > expiresAtMs) {
      const end = new Date(expiresAtMs).toISOString();
      return invalidParam('expires_at', `${beyond} ${end} or an earlier time`);
    }
  }
  return undefined;
}
