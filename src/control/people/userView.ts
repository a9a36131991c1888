/** An account as operators see it: without a trace of its password (C2). */
import type { UserRow } from '../../store/contract/peopleStore.ts';

export interface UserView extends Omit<UserRow, 'passwordHash' | 'disabledAtMs'> {
  hasPassword: boolean;
  /** Epoch ms; null: it is enabled. */
  disabledAtMs: number | null;
}

export function userView({ passwordHash, ...shown }: UserRow): UserView {
  return { ...shown, hasPassword: passwordHash !== null };
}
