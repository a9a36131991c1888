/** A join key that the platform makes for itself: its own shared agent has lost its state. */
import { insertJoinKey } from '../enrolment/createJoinKey.ts';
import type { ControlParts } from '../parts.ts';
import type { SharedTier } from './bootstrap.ts';

/** For one use. `ttlMs` as for every join key: at most one hour. */
export async function newPlatformJoinKey(
  parts: Pick<ControlParts, 'store' | 'clock' | 'random' | 'log' | 'config'>,
  input: { tier: SharedTier; ttlMs?: number },
): Promise<{ id: string; text: string; expiresAtMs: number }> {
  const { tier, ttlMs } = input;
  const wish = { name: 'local', ttlMs, supportedTiers: [tier] };
  const made = await insertJoinKey(parts, { projectId: null, wish, by: 'system' });
  if (!made.ok) throw new RangeError(made.reason === 'invalid_value' ? made.message : made.reason);
  return { id: made.joinKey.id, text: made.text, expiresAtMs: made.joinKey.expiresAtMs };
}
