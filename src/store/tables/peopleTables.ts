/** Users, how they prove who they are, and their sessions. */
import type { Flag } from './columnTypes.ts';

interface Users {
  id: string;
  /** Lower case. */
  email: string;
  /** Null: signs in with a provider of identities only. */
  password_hash: string | null;
  role: 'admin' | 'user';
  must_change_password: Flag;
  disabled_at_ms: number | null;
  last_sign_in_at_ms: number | null;
  version: number;
  created_at_ms: number;
}

interface Sessions {
  token_sha256: string;
  user_id: string;
  method: 'password' | 'oidc';
  created_at_ms: number;
  expires_at_ms: number;
}

interface SecondFactors {
  user_id: string;
  sealed_secret: string;
  created_at_ms: number;
  /** Null: begun, not asked for yet. */
  confirmed_at_ms: number | null;
  /** Step of the last code that was taken: none at or before it is taken again. */
  last_step: number | null;
}

/** The unused ones. */
interface RecoveryCodes {
  user_id: string;
  code_sha256: string;
}

interface Identities {
  issuer: string;
  subject: string;
  user_id: string;
  created_at_ms: number;
}

export interface PeopleTables {
  users: Users;
  sessions: Sessions;
  second_factors: SecondFactors;
  recovery_codes: RecoveryCodes;
  identities: Identities;
}
