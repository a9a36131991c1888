/** The operator's map of near regions. */
import { z } from 'zod';
import { contract, isoTimeSchema } from '../contract.ts';

const groupsSchema = z
  .array(z.array(z.string().max(256)).max(256))
  .max(256)
  .describe('Groups of regions that are near one another; a region may stand in several');

const regionMapSchema = z
  .strictObject({
    groups: z.array(z.array(z.string())),
    updated_at: isoTimeSchema.nullable(),
    version: z.int(),
  })
  .meta({ id: 'RegionMap' });
export type RegionMapAnswer = z.infer<typeof regionMapSchema>;

export const regionContracts = {
  regionMap: contract({
    answer: regionMapSchema,
    status: 200,
    refusals: [],
    versioned: true,
  }),
  setRegionMap: contract({
    body: z.strictObject({ groups: groupsSchema }).meta({ id: 'SetRegionMap' }),
    answer: regionMapSchema,
    status: 200,
    refusals: ['conflict'],
    versioned: true,
  }),
};
