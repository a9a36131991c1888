/** Projects, their people and their API keys. */
import type { Flag, JsonText } from './columnTypes.ts';

interface Projects {
  id: string;
  slug: string;
  name: string;
  shared_access: Flag;
  version: number;
  created_at_ms: number;
}

interface Memberships {
  project_id: string;
  user_id: string;
  role: 'owner' | 'member';
  created_at_ms: number;
}

interface Invitations {
  id: string;
  /** Null: to the platform alone. */
  project_id: string | null;
  /** Null with `project_id`. */
  project_role: 'owner' | 'member' | null;
  /** What an account that is made by accepting it becomes. */
  user_role: 'admin' | 'user';
  /** Lower case. */
  email: string;
  token_sha256: string;
  created_by: string;
  created_at_ms: number;
  expires_at_ms: number;
  accepted_at_ms: number | null;
  /** No foreign key: for the record. */
  accepted_by: string | null;
  revoked_at_ms: number | null;
}

interface ApiKeys {
  id: string;
  project_id: string;
  name: string;
  sha256: string;
  last_four: string;
  /** The value before the last rotation, and until when it is good. */
  previous_sha256: string | null;
  previous_until_ms: number | null;
  scopes: JsonText;
  endpoint_id: string | null;
  expires_at_ms: number | null;
  ip_allow_list: JsonText;
  requests_per_minute: number | null;
  tokens_per_minute: number | null;
  tokens_per_day: number | null;
  revoked: Flag;
  revoked_at_ms: number | null;
  rotated_at_ms: number | null;
  last_used_at_ms: number | null;
  version: number;
  created_at_ms: number;
  /** Null: before it was kept. */
  created_by: string | null;
}

export interface ProjectTables {
  projects: Projects;
  memberships: Memberships;
  invitations: Invitations;
  api_keys: ApiKeys;
}
