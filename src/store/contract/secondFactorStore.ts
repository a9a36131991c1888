/** Second factors (TOTP) and recovery codes of accounts. */
import type { AuditNote } from './auditStore.ts';
import type { Refused } from './refused.ts';

export interface SecondFactorRow {
  userId: string;
  sealedSecret: string;
  createdAtMs: number;
  /** Null: begun, not asked for yet. */
  confirmedAtMs: number | null;
  /** How many recovery codes are unused. */
  recoveryCodesLeft: number;
}

export interface SecondFactorStore {
  secondFactor(userId: string): Promise<SecondFactorRow | null>;
  /** Takes the place of one that was begun and never confirmed. */
  beginSecondFactor(input: {
    userId: string;
    sealedSecret: string;
    nowMs: number;
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'already_on'>>;
  /** `stale`: what was begun is not `sealedSecret` any more. */
  confirmSecondFactor(input: {
    userId: string;
    sealedSecret: string;
    /** Step of the code that proved it. */
    step: number;
    recoveryHashes: readonly string[];
    nowMs: number;
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'already_on' | 'stale'>>;
  /** No step at or before the last used one is taken again, under any concurrency. */
  useSecondFactorStep(input: {
    userId: string;
    step: number;
  }): Promise<{ ok: true } | Refused<'replayed'>>;
  /** Each once. */
  useRecoveryCode(input: {
    userId: string;
    codeSha256: string;
  }): Promise<{ ok: true } | Refused<'unknown'>>;
  replaceRecoveryCodes(input: {
    userId: string;
    recoveryHashes: readonly string[];
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'unknown'>>;
  removeSecondFactor(input: {
    userId: string;
    audit: AuditNote;
  }): Promise<{ ok: true } | Refused<'unknown'>>;
}
