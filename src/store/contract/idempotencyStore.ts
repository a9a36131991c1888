/**
 * Idempotency keys (C5): who took one carries a claim into the transaction of the change, so that a
 * call that was overtaken, or whose answer was lost, changes nothing a second time.
 */
import type { Refused } from './refused.ts';

/** The right to make the one change of a key. */
export interface IdempotencyClaim {
  /** As in the audit log: `user:<id>` or `key:<id>`. */
  caller: string;
  /** What the caller sent. */
  key: string;
  /** Of this attempt alone. */
  claimId: string;
}

/** An answer that is given again. */
export interface KeptAnswer {
  status: number;
  /** Sealed: an answer may show a secret once. */
  sealedBody: string;
}

export type ClaimOutcome =
  /** `answer` null: the key is the caller's now. */
  | { ok: true; answer: KeptAnswer | null }
  | Refused<
      /** The key was used for something else. */
      | 'another_request'
      | 'still_running'
      /** The change was made, but its answer was never kept. */
      | 'answer_lost'
    >;

export interface IdempotencyStore {
  /**
   * Takes the key, or says what became of it. A claim from before `abandonedBeforeMs` that has
   * changed nothing gives way; a row ends at `expiresAtMs`.
   */
  claimIdempotencyKey(
    input: IdempotencyClaim & {
      requestSha256: string;
      nowMs: number;
      abandonedBeforeMs: number;
      expiresAtMs: number;
    },
  ): Promise<ClaimOutcome>;
  /** Keeps the answer of the call that holds the claim; nothing when it was overtaken. */
  keepIdempotentAnswer(input: IdempotencyClaim & KeptAnswer): Promise<void>;
  /** Gives the key back, unless something was changed under it. */
  releaseIdempotencyKey(claim: IdempotencyClaim): Promise<void>;
  deleteExpiredIdempotencyKeys(nowMs: number): Promise<void>;
}
