/** Budgets of a project and of its keys, and what they have come to in this month. */
import { z } from 'zod';
import { contract, isoTimeSchema, pagedList } from '../contract.ts';
import { costSchema } from './costSchema.ts';

export const budgetSchema = z
  .strictObject({
    /** `project`, or the id of the key: the last part of its address. */
    id: z.string(),
    scope: z.enum(['project', 'api_key']),
    api_key_id: z.string().nullable(),
    /** Null also when the key is gone. */
    api_key: z.string().nullable(),
    /** For a calendar month in UTC. */
    amount: costSchema,
    /** What would cost more is refused once it is used up; otherwise it is only warned of. */
    hard_stop: z.boolean(),
    spent: costSchema,
    /** Share of the amount, to three digits; null where the amount is 0. */
    used: z.number().nullable(),
    state: z
      .enum(['ok', 'warning', 'used_up', 'stopped'])
      .describe('warning: at 80 %; used_up: without a hard stop; stopped: with one'),
    /** When 80 % were spent in this month, and when all was. */
    warned_at: isoTimeSchema.nullable(),
    used_up_at: isoTimeSchema.nullable(),
    /** When the next month begins. */
    resets_at: isoTimeSchema,
    version: z.int(),
  })
  .meta({ id: 'Budget' });
export type BudgetAnswer = z.infer<typeof budgetSchema>;

const setBudgetSchema = z
  .strictObject({
    amount: z
      .string()
      .regex(/^\d{1,9}(\.\d{1,6})?$/, 'it must be a decimal number, such as 25 or 0.50')
      .describe('A decimal number of the operator’s unit')
      .meta({ examples: ['25', '0.50'] }),
    hard_stop: z.boolean().default(false),
  })
  .meta({ id: 'SetBudget' });
export type SetBudgetRequest = z.input<typeof setBudgetSchema>;

export const budgetContracts = {
  budgets: pagedList({ item: budgetSchema, place: ['string'], refusals: [] }),
  budget: contract({
    answer: budgetSchema,
    status: 200,
    refusals: ['not_found'],
    versioned: true,
  }),
  setBudget: contract({
    body: setBudgetSchema,
    answer: budgetSchema,
    status: 200,
    refusals: ['insufficient_permissions', 'not_found', 'conflict'],
    versioned: true,
  }),
  removeBudget: contract({
    answer: z.strictObject({ id: z.string(), deleted: z.literal(true) }),
    status: 200,
    refusals: ['insufficient_permissions', 'not_found'],
  }),
};
