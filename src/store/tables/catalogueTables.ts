/** Models, endpoints, and what the operator says of digests, tiers and regions. */
import type { Generated } from 'kysely';
import type { Flag, JsonText } from './columnTypes.ts';

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
  updated_at_ms: Generated<number>;
  version: Generated<number>;
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
  updated_at_ms: Generated<number>;
  version: Generated<number>;
}

/** Digests that shared agents may serve whoever owns the model. */
interface ModelApprovals {
  sha256: string;
  note: string;
  /** Who approved it: `user:<id>`. */
  approved_by: string;
  created_at_ms: number;
}

/** What the operator says of a tier, free-form. */
interface TierFeatures {
  tier: string;
  /** JSON of an object. */
  features: JsonText;
  version: number;
  updated_at_ms: number;
}

/** One row. */
interface RegionMaps {
  id: 'near';
  /** JSON of a list of lists of regions. */
  near_groups: JsonText;
  version: number;
  updated_at_ms: number;
}

export interface CatalogueTables {
  models: Models;
  endpoints: Endpoints;
  model_approvals: ModelApprovals;
  tier_features: TierFeatures;
  region_maps: RegionMaps;
}
