/**
 * Whether a value of an API key opens anything, as a function of the key's entry and the time:
 * asked when a request comes, and again while it runs, so that a key that ends takes its streams
 * with it.
 */
import type { ApiKeyEntry } from '../directory.ts';

/** `replaced`: a value from before the last rotation whose grace is over. */
export type ApiKeyStanding = 'good' | 'revoked' | 'expired' | 'replaced';

/** `sha256` is the hash of the value that the caller sent, `nowMs` epoch ms. */
export function apiKeyStanding(
  entry: Pick<ApiKeyEntry, 'sha256' | 'previous' | 'expiresAtMs' | 'revoked'>,
  presented: { sha256: string; nowMs: number },
): ApiKeyStanding {
  const { sha256, nowMs } = presented;
  if (entry.revoked) return 'revoked';
  if (entry.expiresAtMs !== null && entry.expiresAtMs <= nowMs) return 'expired';
  if (sha256 === entry.sha256) return 'good';
  const { previous } = entry;
  const inGrace = previous !== null && sha256 === previous.sha256 && nowMs < previous.untilMs;
  return inGrace ? 'good' : 'replaced';
}
