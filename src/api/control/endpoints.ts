/** Endpoints. */
import { z } from 'zod';
import { contract, wholeList } from '../contract.ts';

export const endpointSchema = z
  .strictObject({
    id: z.string(),
    slug: z.string(),
    tier: z.string(),
    model: z.string(),
    active: z.boolean(),
    fallback: z.strictObject({
      enabled: z.boolean(),
      after_ms: z.int(),
      tier: z.string().nullable(),
    }),
    region: z.string().nullable(),
    exclusive: z.boolean(),
    queue_timeout_ms: z.int(),
    base_url: z.string(),
    /** Agents that could serve it now. */
    agents_ready: z.int(),
    running: z.int(),
    waiting: z.int(),
  })
  .meta({ id: 'Endpoint' });
export type EndpointAnswer = z.infer<typeof endpointSchema>;

export const endpointContracts = {
  endpoints: contract({ answer: wholeList(endpointSchema), status: 200, refusals: [] }),
};
