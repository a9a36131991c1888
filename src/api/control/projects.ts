/** Projects. */
import { z } from 'zod';
import { contract, wholeList } from '../contract.ts';

export const projectSchema = z
  .strictObject({
    id: z.string(),
    slug: z.string(),
    name: z.string(),
    shared_access: z.boolean(),
    /** The caller's. */
    role: z.enum(['owner', 'member']),
  })
  .meta({ id: 'Project' });
export type ProjectAnswer = z.infer<typeof projectSchema>;

export const projectContracts = {
  projects: contract({ answer: wholeList(projectSchema), status: 200, refusals: [] }),
};
