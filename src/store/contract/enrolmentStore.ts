/** What agents do with their own credentials: enrol, and rotate their token. */
import type { AgentRow } from './agentStore.ts';
import type { Refused } from './refused.ts';

export interface EnrollInput {
  joinKeyId: string;
  secretSha256: string;
  nowMs: number;
  /** The agent to create when this key pair has made none with this join key. */
  agent: AgentRow;
  /**
   * What the caller read with `agentByEnrollment` just before: a retry takes that agent over and
   * moves it to `next`. The token of a generation is derived outside (HMAC), so that the store sees
   * hashes only. `next.generation` is at least `generation + 2`: access tokens are good down to one
   * generation below the agent's, and a retry voids all earlier ones. Null: there was none.
   */
  resume: {
    agentId: string;
    generation: number;
    next: { generation: number; tokenHash: string };
  } | null;
  /** A retry is accepted until this long after the key's expiry, in ms. */
  retryGraceMs: number;
}

export type EnrollOutcome =
  | { ok: true; agent: AgentRow; resumed: boolean }
  | Refused<
      | 'unknown_key'
      | 'wrong_secret'
      | 'expired'
      | 'revoked'
      | 'used_up'
      /** Another agent of the same owner that is not dead has this name. */
      | 'name_taken'
      | 'already_linked'
      | 'agent_suspended'
      | 'agent_dead'
      /** The agent of this key pair is not what `resume` says: read it again. */
      | 'stale'
    >;

export interface RotateInput {
  agentId: string;
  /** The token that the agent sent, which the caller knows for one that this server made (HMAC). */
  presented: { generation: number; hash: string };
  /** The generation that the caller read. */
  generation: number;
  /**
   * Hash of the token that follows, derived by the caller: of the generation after the greater one
   * of `generation` and `presented.generation`.
   */
  nextHash: string;
  nowMs: number;
}

export type RotateOutcome =
  /** The generation whose token (derived by the caller) is the answer; `ahead`: S8. */
  | { ok: true; generation: number; ahead: boolean }
  /** `stale`: somebody else rotated since the caller's read: read again. `reused`: S5. */
  | Refused<'stale' | 'unknown_agent' | 'agent_dead' | 'agent_suspended' | 'reused'>;

export interface EnrolmentStore {
  /** The agent that this key pair made with this join key, whatever became of it. */
  agentByEnrollment(input: { joinKeyId: string; publicKey: string }): Promise<AgentRow | null>;
  /**
   * C1: consumes the key and creates the agent in one transaction. The same key pair with the same
   * join key is a retry: it consumes nothing, works also when the key is used up, and begins the
   * agent's state anew. A revoked key refuses retries too.
   */
  enroll(input: EnrollInput): Promise<EnrollOutcome>;
  /**
   * Those that came together, in one transaction and in their order; an outcome for each.
   *
   * Current token → next generation; previous token → the generation that there is, as often as it
   * comes; one of a later generation → the generation after that (S8); any other → `reused`, and
   * the agent is suspended (S5).
   */
  rotateTokens(inputs: readonly RotateInput[]): Promise<RotateOutcome[]>;
}
