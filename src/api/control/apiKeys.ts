/** API keys of a project. */
import { z } from 'zod';
import { contract, isoTimeSchema, pagedList } from '../contract.ts';

const scopeSchema = z.enum(['inference', 'management']);

const quotaSchema = z
  .strictObject({
    requests_per_minute: z.int().nullable(),
    /** Input and output together. */
    tokens_per_minute: z.int().nullable(),
    tokens_per_day: z.int().nullable(),
  })
  .meta({ id: 'ApiKeyQuota' });

const apiKeySchema = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    /** By which its owner knows it again: `xim_nordlab_…c41e`. */
    masked: z.string(),
    scopes: z.array(scopeSchema),
    /** The only endpoint that it opens; null: all of the project. */
    endpoint_id: z.string().nullable(),
    expires_at: isoTimeSchema.nullable(),
    /** Addresses and CIDR ranges; empty: from anywhere. */
    ip_allow_list: z.array(z.string()),
    quota: quotaSchema.nullable(),
    state: z.enum(['active', 'expired', 'revoked']),
    created_at: isoTimeSchema,
    /** `user:<id>`, `key:<id>` or `system`. */
    created_by: z.string().nullable(),
    rotated_at: isoTimeSchema.nullable(),
    /** Until when the value before the last rotation is good too. */
    previous_valid_until: isoTimeSchema.nullable(),
    revoked_at: isoTimeSchema.nullable(),
    /** To the minute or so. */
    last_used_at: isoTimeSchema.nullable(),
    version: z.int(),
  })
  .meta({ id: 'ApiKey' });
export type ApiKeyAnswer = z.infer<typeof apiKeySchema>;

/** The only time that the value is shown. */
const shownApiKeySchema = z
  .strictObject({ ...apiKeySchema.shape, key: z.string() })
  .meta({ id: 'ShownApiKey' });
export type ShownApiKeyAnswer = z.infer<typeof shownApiKeySchema>;

/** Null, or left out: no limit. */
const quotaInput = z.strictObject({
  requests_per_minute: z.number().nullable().optional(),
  tokens_per_minute: z.number().nullable().optional(),
  tokens_per_day: z.number().nullable().optional(),
});

const limitsInput = {
  /** Slug or id of an endpoint of the project; null: all of them. */
  endpoint: z.string().min(1).max(128).nullable().optional(),
  /** Null: never. */
  expires_at: z.iso.datetime({ offset: true }).nullable().optional(),
  ip_allow_list: z.array(z.string().max(64)).max(256).optional(),
  quota: quotaInput.nullable().optional(),
};

const createApiKeySchema = z
  .strictObject({
    name: z.string().min(1).max(256),
    scopes: z.array(scopeSchema).min(1).max(4),
    ...limitsInput,
  })
  .meta({ id: 'CreateApiKey' });
export type CreateApiKeyRequest = z.infer<typeof createApiKeySchema>;

const updateApiKeySchema = z
  .strictObject({ name: z.string().min(1).max(256).optional(), ...limitsInput })
  .meta({ id: 'UpdateApiKey' });
export type UpdateApiKeyRequest = z.infer<typeof updateApiKeySchema>;

export const apiKeyContracts = {
  apiKeys: pagedList({ item: apiKeySchema, place: ['number', 'string'], refusals: [] }),
  apiKey: contract({
    answer: apiKeySchema,
    status: 200,
    refusals: ['not_found'],
    versioned: true,
  }),
  createApiKey: contract({
    body: createApiKeySchema,
    answer: shownApiKeySchema,
    status: 201,
    refusals: ['endpoint_not_found', 'conflict'],
    creates: true,
  }),
  updateApiKey: contract({
    body: updateApiKeySchema,
    answer: apiKeySchema,
    status: 200,
    refusals: ['not_found', 'endpoint_not_found', 'conflict'],
    versioned: true,
  }),
  rotateApiKey: contract({
    body: z
      .strictObject({
        /** 0 to 86400, which is the default: how long the present value stays good. */
        grace_seconds: z.number().optional(),
      })
      .meta({ id: 'RotateApiKey' }),
    answer: shownApiKeySchema,
    status: 200,
    refusals: ['not_found', 'conflict'],
    creates: true,
    versioned: true,
  }),
  revokeApiKey: contract({
    answer: z.strictObject({ id: z.string(), revoked: z.literal(true) }),
    status: 200,
    refusals: ['not_found'],
  }),
};
