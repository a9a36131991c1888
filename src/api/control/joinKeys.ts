/** Join keys. */
import { z } from 'zod';

/** `GET /api/v1/projects/:project/join-keys` (and `/api/v1/platform/join-keys`). */
export interface JoinKeyAnswer {
  id: string;
  name: string;
  region: string;
  supported_tiers: string[] | null;
  storage_limit_enabled: boolean;
  storage_limit_bytes: number | null;
  max_uses: number;
  uses: number;
  state: 'open' | 'used_up' | 'expired' | 'revoked';
  created_at: string;
  expires_at: string;
}

/** The answer of `POST …/join-keys`: the only time that key and command are shown. */
export interface CreatedJoinKeyAnswer extends JoinKeyAnswer {
  key: string;
  /** The exact line to paste on the machine. */
  join_command: string;
  /** The same without `curl`, by Node alone. */
  join_command_node: string;
  warnings: string[];
}

/** `POST …/join-keys`. */
export interface CreateJoinKeyRequest {
  name?: string;
  region?: string;
  supported_tiers?: string[] | null;
  storage_limit_enabled?: boolean;
  storage_limit_bytes?: number | null;
  max_uses?: number;
  /** 1 to 3600; 900 by default. */
  ttl_seconds?: number;
}

/** Only types: ranges are the use-case's, which says the limit in its refusal. */
export const createJoinKeySchema = z.strictObject({
  name: z.string().max(256).optional(),
  region: z.string().max(256).optional(),
  supported_tiers: z.array(z.string().max(64)).max(16).nullable().optional(),
  storage_limit_enabled: z.boolean().optional(),
  storage_limit_bytes: z.number().nullable().optional(),
  max_uses: z.number().optional(),
  ttl_seconds: z.number().optional(),
});
