/** What the control routes take: schemas of the bodies and queries of `api/control.ts`. */
import { z } from 'zod';

export const signInSchema = z.strictObject({
  email: z.string().min(1).max(254),
  password: z.string().min(1).max(1024),
});

/** `POST …/agents/{agent}/suspend` and `/resume`; the reason stands in the agent's history. */
export const agentCommandSchema = z.strictObject({
  reason: z.string().max(512).optional(),
});

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

/** `?limit=` of lists. */
export const listQuerySchema = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(50),
});
