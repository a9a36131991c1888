/** Join keys, of a project and of the platform. */
import { z } from 'zod';
import { contract, isoTimeSchema, pagedList } from '../contract.ts';

const joinKeySchema = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    region: z.string(),
    supported_tiers: z.array(z.string()).nullable(),
    storage_limit_enabled: z.boolean(),
    storage_limit_bytes: z.int().nullable(),
    max_uses: z.int(),
    uses: z.int(),
    state: z.enum(['open', 'used_up', 'expired', 'revoked']),
    created_at: isoTimeSchema,
    expires_at: isoTimeSchema,
  })
  .meta({ id: 'JoinKey' });
export type JoinKeyAnswer = z.infer<typeof joinKeySchema>;

/** The only time that key and command are shown. */
const createdJoinKeySchema = z
  .strictObject({
    ...joinKeySchema.shape,
    key: z.string(),
    /** The exact line to paste on the machine. */
    join_command: z.string(),
    /** The same without `curl`, by Node alone. */
    join_command_node: z.string(),
    warnings: z.array(z.string()),
  })
  .meta({ id: 'CreatedJoinKey' });
export type CreatedJoinKeyAnswer = z.infer<typeof createdJoinKeySchema>;

const createJoinKeySchema = z
  .strictObject({
    name: z.string().max(256).optional(),
    region: z.string().max(256).optional(),
    supported_tiers: z.array(z.string().max(64)).max(16).nullable().optional(),
    storage_limit_enabled: z.boolean().optional(),
    storage_limit_bytes: z.number().nullable().optional(),
    max_uses: z.number().optional(),
    /** 1 to 3600; 900 by default. */
    ttl_seconds: z.number().optional(),
  })
  .meta({ id: 'CreateJoinKey' });
export type CreateJoinKeyRequest = z.infer<typeof createJoinKeySchema>;

const list = pagedList({ item: joinKeySchema, place: ['number', 'string'], refusals: [] });
const create = contract({
  body: createJoinKeySchema,
  answer: createdJoinKeySchema,
  status: 201,
  refusals: ['conflict'],
  creates: true,
});
const one = contract({ answer: joinKeySchema, status: 200, refusals: ['not_found'] });
const revoke = contract({
  answer: z.strictObject({ id: z.string(), revoked: z.literal(true) }),
  status: 200,
  refusals: ['not_found'],
});

export const joinKeyContracts = {
  joinKeys: list,
  joinKey: one,
  createJoinKey: create,
  revokeJoinKey: revoke,
  platformJoinKeys: list,
  platformJoinKey: one,
  createPlatformJoinKey: create,
  revokePlatformJoinKey: revoke,
};
