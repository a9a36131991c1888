/** Models and endpoints. */
import type { Flag } from './columnTypes.ts';

interface Models {
  id: string;
  project_id: string | null;
  name: string;
  source: string;
  format: 'gguf' | 'safetensors';
  task: 'generate' | 'embed' | 'score';
  size_bytes: number | null;
  sha256: string | null;
  context_length: number | null;
  created_at_ms: number;
}

interface Endpoints {
  id: string;
  project_id: string;
  slug: string;
  model_id: string;
  tier: string;
  active: Flag;
  fallback_enabled: Flag;
  fallback_after_ms: number;
  fallback_tier: string | null;
  region: string | null;
  exclusive: Flag;
  minimum_isolation: string | null;
  resume: Flag;
  queue_timeout_ms: number;
  created_at_ms: number;
}

export interface CatalogueTables {
  models: Models;
  endpoints: Endpoints;
}
