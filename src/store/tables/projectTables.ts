/** Projects and their API keys. */
import type { Flag, JsonText } from './columnTypes.ts';

interface Projects {
  id: string;
  slug: string;
  name: string;
  shared_access: Flag;
  created_at_ms: number;
}

interface ApiKeys {
  id: string;
  project_id: string;
  name: string;
  sha256: string;
  last_four: string;
  scopes: JsonText;
  endpoint_id: string | null;
  expires_at_ms: number | null;
  ip_allow_list: JsonText;
  revoked: Flag;
  created_at_ms: number;
}

export interface ProjectTables {
  projects: Projects;
  api_keys: ApiKeys;
}
