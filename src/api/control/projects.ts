/** Projects. */
import { z } from 'zod';
import { contract, isoTimeSchema, pagedList } from '../contract.ts';

export const projectRoleSchema = z.enum(['owner', 'member']);

export const projectSchema = z
  .strictObject({
    id: z.string(),
    slug: z.string(),
    name: z.string(),
    /** Whether shared agents may serve it. */
    shared_access: z.boolean(),
    /** The caller's. */
    role: projectRoleSchema,
    created_at: isoTimeSchema,
    version: z.int(),
  })
  .meta({ id: 'Project' });
export type ProjectAnswer = z.infer<typeof projectSchema>;

const createProjectSchema = z
  .strictObject({
    name: z.string().min(1).max(256),
    slug: z
      .string()
      .max(256)
      .optional()
      .describe('In addresses and keys; fixed after creation. By default made of the name'),
    shared_access: z
      .boolean()
      .optional()
      .describe('Whether shared agents may serve it; by default they may'),
  })
  .meta({ id: 'CreateProject' });
export type CreateProjectRequest = z.infer<typeof createProjectSchema>;

const updateProjectSchema = z
  .strictObject({
    name: z.string().min(1).max(256).optional(),
    /** An owner may only take it away. */
    shared_access: z.boolean().optional(),
  })
  .meta({ id: 'UpdateProject' });
export type UpdateProjectRequest = z.infer<typeof updateProjectSchema>;

export const projectContracts = {
  projects: pagedList({ item: projectSchema, place: ['number', 'string'], refusals: [] }),
  project: contract({ answer: projectSchema, status: 200, refusals: [], versioned: true }),
  createProject: contract({
    body: createProjectSchema,
    answer: projectSchema,
    status: 201,
    refusals: ['insufficient_permissions', 'conflict'],
    creates: true,
  }),
  updateProject: contract({
    body: updateProjectSchema,
    answer: projectSchema,
    status: 200,
    refusals: ['insufficient_permissions', 'conflict'],
    versioned: true,
  }),
  deleteProject: contract({
    answer: z.strictObject({ id: z.string(), deleted: z.literal(true) }),
    status: 200,
    refusals: ['insufficient_permissions', 'conflict'],
  }),
};
