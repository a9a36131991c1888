/** What may stand in a key's fields: the names are the wire's. */
import type { ApiKeyQuota } from '../../domain/directory.ts';
import { isAddressRange } from '../../lib/network/addressRanges.ts';
import type { ApiKeyChange } from '../../store/contract/apiKeyStore.ts';
import { invalidParam, type InvalidField } from '../invalidField.ts';
import { largestQuota, longestAllowList, longestKeyLifetimeMs, longestName } from '../limits.ts';

export type ApiKeyField = 'name' | 'scopes' | 'endpoint' | 'expires_at' | 'ip_allow_list' | 'quota';

/** What is left out stays, or takes its default: no limit. */
export interface ApiKeyWish {
  name?: string | undefined;
  /** Slug or id of an endpoint of the project; null: every endpoint. */
  endpoint?: string | null | undefined;
  /** Epoch ms; null: never. */
  expiresAtMs?: number | null | undefined;
  /** Addresses and CIDR ranges; empty: from anywhere. */
  ipAllowList?: readonly string[] | undefined;
  quota?: ApiKeyQuota | null | undefined;
}

type Checked = { ok: true; change: ApiKeyChange } | InvalidField<ApiKeyField>;

/** The fields that are given, as the store takes them. */
export function readApiKeyFields(wish: ApiKeyWish, nowMs: number): Checked {
  const change: ApiKeyChange = {};
  if (wish.name !== undefined) {
    const name = wish.name.trim();
    const problem = nameProblem(name);
    if (problem !== undefined) return invalidParam('name', problem);
    change.name = name;
  }
  if (wish.endpoint !== undefined) change.endpointId = wish.endpoint;
  if (wish.expiresAtMs !== undefined) {
    const problem = expiryProblem(wish.expiresAtMs, nowMs);
    if (problem !== undefined) return invalidParam('expires_at', problem);
    change.expiresAtMs = wish.expiresAtMs;
  }
  if (wish.ipAllowList !== undefined) {
    const list = [...new Set(wish.ipAllowList.map((entry) => entry.trim()))];
    const problem = allowListProblem(list);
    if (problem !== undefined) return invalidParam('ip_allow_list', problem);
    change.ipAllowList = list;
  }
  if (wish.quota !== undefined) {
    const problem = quotaProblem(wish.quota);
    if (problem !== undefined) return invalidParam('quota', problem);
    change.quota = withoutEmptyQuota(wish.quota);
  }
  return { ok: true, change };
}

function nameProblem(name: string): string | undefined {
  if (name === '') return 'is empty; give it a name';
  if (name.length > longestName) {
    return `has ${name.length} characters; at most ${longestName} may be`;
  }
  return /[\p{Cc}\p{Cs}]/u.test(name) ? 'holds control characters; leave them out' : undefined;
}

function expiryProblem(expiresAtMs: number | null, nowMs: number): string | undefined {
  if (expiresAtMs === null) return undefined;
  if (!Number.isSafeInteger(expiresAtMs)) return 'is not a time';
  if (expiresAtMs <= nowMs) return 'lies in the past; give a later time, or null for never';
  const most = longestKeyLifetimeMs / 86_400_000;
  return expiresAtMs - nowMs > longestKeyLifetimeMs
    ? `lies more than ${most} days ahead; give an earlier time, or null for never`
    : undefined;
}

function allowListProblem(list: readonly string[]): string | undefined {
  if (list.length > longestAllowList) {
    return `has ${list.length} entries; at most ${longestAllowList} may be`;
  }
  const odd = list.find((entry) => !isAddressRange(entry));
  if (odd === undefined) return undefined;
  const good = 'give addresses or ranges such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32';
  return `holds '${odd.slice(0, 64)}', which is no address; ${good}`;
}

function quotaProblem(quota: ApiKeyQuota | null): string | undefined {
  const limits = Object.values(quota ?? {}) as (number | null)[];
  const odd = limits.find(
    (limit) => limit !== null && !(Number.isInteger(limit) && limit >= 1 && limit <= largestQuota),
  );
  if (odd === undefined) return undefined;
  return `holds ${odd}; give whole numbers from 1 to ${largestQuota}, or null for no limit`;
}

function withoutEmptyQuota(quota: ApiKeyQuota | null): ApiKeyQuota | null {
  const limits = Object.values(quota ?? {}) as (number | null)[];
  return limits.every((limit) => limit === null) ? null : quota;
}
