/** The audit log: one note for every change of a person's, kept for 400 days. */
import { z } from 'zod';
import { isoTimeSchema, pagedList, timeInputSchema } from '../contract.ts';

const auditNoteSchema = z
  .strictObject({
    id: z.int(),
    at: isoTimeSchema,
    /** `user:<id>`, `key:<id>` or `system`. */
    actor: z.string(),
    /** A person's e-mail address, a key's name; null: there is none (any more). */
    actor_name: z.string().nullable(),
    /** `<kind of the target>.<verb>`, e.g. `endpoint.create`. */
    action: z.string(),
    target_kind: z.string(),
    target_id: z.string(),
    /** Null: the platform's. */
    project_id: z.string().nullable(),
    request_id: z.string().nullable(),
    /** The client's. */
    address: z.string().nullable(),
    /** By field. Secrets are left out. */
    changes: z.record(z.string(), z.strictObject({ from: z.unknown(), to: z.unknown() })),
  })
  .meta({ id: 'AuditNote' });
export type AuditNoteAnswer = z.infer<typeof auditNoteSchema>;

const word = z.string().min(1).max(256).optional();

const list = pagedList({
  item: auditNoteSchema,
  place: ['number'],
  query: {
    action: word.describe('Exactly this one, e.g. `join_key.create`'),
    actor: word.describe('Exactly this one, e.g. `user:<id>`'),
    target_kind: word.describe('E.g. `agent`'),
    target_id: word,
    from: timeInputSchema.optional().describe('At or behind it'),
    to: timeInputSchema.optional().describe('Before it'),
  },
  refusals: [],
});

export const auditContracts = { audit: list, platformAudit: list };
