/**
 * An API key as clients send it: `xim_<project slug>_<256 random bits>`. Stored are its SHA-256 and
 * its last four characters, by which its owner knows it again (C2).
 */
import { sha256Hex, toBase64url } from '../../lib/crypto/hashing.ts';
import { newId } from '../../lib/ids.ts';
import type { Random } from '../../lib/random.ts';
import type { ApiKeyRow } from '../../store/contract/apiKeyStore.ts';
import type { ControlParts } from '../parts.ts';

/** The whole key, which is shown once, and what is stored of it. */
export interface ApiKeyText {
  text: string;
  sha256: string;
  lastFour: string;
}

export function newApiKeyText(options: { projectSlug: string; random: Random }): ApiKeyText {
  const text = `xim_${options.projectSlug}_${toBase64url(options.random.bytes(32))}`;
  return { text, sha256: apiKeyHash(text), lastFour: text.slice(-4) };
}

/** What is stored of a key. */
export function apiKeyHash(text: string): string {
  return sha256Hex(text);
}

/** How a list shows a key: `xim_nordlab_…c41e`. */
export function shownApiKey(key: { projectSlug: string; lastFour: string }): string {
  return `xim_${key.projectSlug}_…${key.lastFour}`;
}

/** The row of a new key, and its text; what is not given does not limit it. */
export function newApiKeyRow(
  { random, clock }: Pick<ControlParts, 'random' | 'clock'>,
  key: {
    project: { id: string; slug: string };
    name: string;
    scopes: ApiKeyRow['scopes'];
    createdBy: string;
  } & Partial<Pick<ApiKeyRow, 'endpointId' | 'expiresAtMs' | 'ipAllowList' | 'quota'>>,
): { row: ApiKeyRow; text: string } {
  const { project, name, scopes, createdBy } = key;
  const { text, sha256, lastFour } = newApiKeyText({ projectSlug: project.slug, random });
  const row: ApiKeyRow = {
    id: newId('key', random),
    projectId: project.id,
    name,
    sha256,
    lastFour,
    previous: null,
    scopes,
    endpointId: key.endpointId ?? null,
    expiresAtMs: key.expiresAtMs ?? null,
    ipAllowList: key.ipAllowList ?? [],
    quota: key.quota ?? null,
    revoked: false,
    revokedAtMs: null,
    rotatedAtMs: null,
    lastUsedAtMs: null,
    version: 1,
    createdAtMs: clock.now(),
    createdBy,
  };
  return { row, text };
}
