/** Users and their sessions. */
import type { Flag } from './columnTypes.ts';

interface Users {
  id: string;
  /** Lower case. */
  email: string;
  password_hash: string;
  role: 'admin' | 'user';
  must_change_password: Flag;
  created_at_ms: number;
}

interface Sessions {
  token_sha256: string;
  user_id: string;
  created_at_ms: number;
  expires_at_ms: number;
}

export interface PeopleTables {
  users: Users;
  sessions: Sessions;
}
