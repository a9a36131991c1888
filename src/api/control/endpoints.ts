/** Endpoints. */

/** `GET /api/v1/projects/:project/endpoints`. */
export interface EndpointAnswer {
  id: string;
  slug: string;
  tier: string;
  model: string;
  active: boolean;
  fallback: { enabled: boolean; after_ms: number; tier: string | null };
  region: string | null;
  exclusive: boolean;
  queue_timeout_ms: number;
  base_url: string;
  /** Agents that could serve it now. */
  agents_ready: number;
  running: number;
  waiting: number;
}
