/** Models, of a project and of the platform's catalogue; digests that shared agents may serve. */
import { z } from 'zod';
import { contract, isoTimeSchema, pagedList } from '../contract.ts';

const format = z.enum(['gguf', 'safetensors']);
const task = z.enum(['generate', 'embed', 'score']);

const modelSchema = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    ownership: z.enum(['project', 'catalogue']),
    /**
     * `hf:<repo>[:<file>]`, `https:…` or `file:…`. What may hold a secret (the query of an address)
     * is shown to who may change the model; of the catalogue, others see `hf:` only, else null.
     */
    source: z.string().nullable(),
    format,
    task,
    size_bytes: z.int().nullable(),
    sha256: z.string().nullable(),
    context_length: z.int().nullable(),
    /** Whether shared agents may serve it: the catalogue's, and approved digests. */
    open_to_shared: z.boolean(),
    created_at: isoTimeSchema,
    updated_at: isoTimeSchema,
    version: z.int(),
  })
  .meta({ id: 'RegisteredModel' });
export type ModelAnswer = z.infer<typeof modelSchema>;

const settings = {
  name: z.string().max(1024),
  source: z.string().max(4096),
  /** By default what the source's name ends in. */
  format: format.optional(),
  task: task.optional(),
  size_bytes: z.number().nullable().optional(),
  sha256: z.string().max(128).nullable().optional(),
  context_length: z.number().nullable().optional(),
};

const createModelSchema = z.strictObject(settings).meta({ id: 'CreateModel' });
export type CreateModelRequest = z.infer<typeof createModelSchema>;

const updateModelSchema = z
  .strictObject({
    ...settings,
    name: settings.name.optional(),
    /** With another source, size and digest that are not given are forgotten. */
    source: settings.source.optional(),
  })
  .meta({ id: 'UpdateModel' });
export type UpdateModelRequest = z.infer<typeof updateModelSchema>;

const place = ['number', 'string'] as const;
const one = contract({
  answer: modelSchema,
  status: 200,
  refusals: ['not_found'],
  versioned: true,
});
const create = contract({
  body: createModelSchema,
  answer: modelSchema,
  status: 201,
  refusals: ['tier_quota_exceeded', 'conflict'],
  creates: true,
});
const update = contract({
  body: updateModelSchema,
  answer: modelSchema,
  status: 200,
  refusals: ['not_found', 'conflict'],
  versioned: true,
});
const remove = contract({
  answer: z.strictObject({ id: z.string(), deleted: z.literal(true) }),
  status: 200,
  refusals: ['not_found', 'conflict'],
});

const approvalSchema = z
  .strictObject({
    sha256: z.string(),
    note: z.string(),
    approved_by: z.string(),
    created_at: isoTimeSchema,
  })
  .meta({ id: 'ModelApproval' });
export type ModelApprovalAnswer = z.infer<typeof approvalSchema>;

export const modelContracts = {
  projectModels: pagedList({
    item: modelSchema,
    place,
    query: { ownership: z.enum(['project', 'catalogue']).optional().describe('By default both') },
    refusals: [],
  }),
  projectModel: one,
  createModel: create,
  updateModel: update,
  deleteModel: remove,
  platformModels: pagedList({ item: modelSchema, place, refusals: [] }),
  platformModel: one,
  createPlatformModel: create,
  updatePlatformModel: update,
  deletePlatformModel: remove,
  modelApprovals: pagedList({ item: approvalSchema, place, refusals: [] }),
  approveModel: contract({
    body: z
      .strictObject({ sha256: z.string().max(128), note: z.string().max(1024).optional() })
      .meta({ id: 'ApproveModel' }),
    answer: approvalSchema,
    status: 201,
    refusals: ['conflict'],
    creates: true,
  }),
  withdrawModelApproval: contract({
    answer: z.strictObject({ sha256: z.string(), withdrawn: z.literal(true) }),
    status: 200,
    refusals: ['not_found'],
  }),
};
