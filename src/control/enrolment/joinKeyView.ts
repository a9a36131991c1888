/** A join key as its owner sees it: without a trace of the secret (C2). */
import type { JoinKeyRow } from '../../store/contract/joinKeyStore.ts';

export interface JoinKeyView extends Omit<JoinKeyRow, 'secretSha256' | 'revokedAtMs'> {
  /** What stands first in the way of its next use. */
  state: 'open' | 'used_up' | 'expired' | 'revoked';
}

export function joinKeyView(row: JoinKeyRow, nowMs: number): JoinKeyView {
  const { secretSha256: _secret, revokedAtMs, ...shown } = row;
  return { ...shown, state: stateOf({ ...row, revokedAtMs }, nowMs) };
}

function stateOf(row: JoinKeyRow, nowMs: number): JoinKeyView['state'] {
  if (row.revokedAtMs !== null) return 'revoked';
  if (row.uses >= row.maxUses) return 'used_up';
  return nowMs >= row.expiresAtMs ? 'expired' : 'open';
}
