/** An API key as its owner sees it: without a trace of its value but the last four characters. */
import type { ApiKeyRow } from '../../store/contract/apiKeyStore.ts';
import { shownApiKey } from './apiKeyText.ts';

export interface ApiKeyView extends Omit<ApiKeyRow, 'sha256' | 'previous' | 'revoked'> {
  /** `xim_nordlab_…c41e` */
  shown: string;
  /** What stands first in the way of its next use. */
  state: 'active' | 'expired' | 'revoked';
  /** Until when the value before the last rotation is good too; null: it is not. Epoch ms. */
  previousUntilMs: number | null;
}

export function apiKeyView(
  row: ApiKeyRow,
  { projectSlug, nowMs }: { projectSlug: string; nowMs: number },
): ApiKeyView {
  const { sha256: _secret, previous, revoked: _revoked, ...kept } = row;
  const state = stateOf(row, nowMs);
  const inGrace = state === 'active' && previous !== null && previous.untilMs > nowMs;
  return {
    ...kept,
    shown: shownApiKey({ projectSlug, lastFour: row.lastFour }),
    state,
    previousUntilMs: inGrace ? previous.untilMs : null,
  };
}

function stateOf({ revoked, expiresAtMs }: ApiKeyRow, nowMs: number): ApiKeyView['state'] {
  if (revoked) return 'revoked';
  return expiresAtMs !== null && expiresAtMs <= nowMs ? 'expired' : 'active';
}
