/** State of the server, and the live view of a project. */
import { z } from 'zod';
import { contract, isoTimeSchema } from '../contract.ts';
import { agentSchema } from './agents.ts';
import { endpointSchema } from './endpoints.ts';
import { requestSchema } from './requests.ts';

const statusSchema = z
  .strictObject({
    version: z.string(),
    started_at: isoTimeSchema,
    now: isoTimeSchema,
    /** Requests that run and wait, over all projects that the caller may see. */
    running: z.int(),
    waiting: z.int(),
    journal: z.enum(['ok', 'failing']),
    /** What an operator should know, e.g. that shared agents run without a sandbox. */
    notices: z.array(z.strictObject({ code: z.string(), message: z.string() })),
    base_url: z.string(),
  })
  .meta({ id: 'Status' });
export type StatusAnswer = z.infer<typeof statusSchema>;

/** Server-sent events `snapshot`, at most one a second. */
const liveSnapshotSchema = z
  .strictObject({
    at: isoTimeSchema,
    status: statusSchema,
    agents: z.array(agentSchema),
    endpoints: z.array(endpointSchema),
    requests: z.array(requestSchema),
  })
  .meta({ id: 'LiveSnapshot' });
export type LiveSnapshot = z.infer<typeof liveSnapshotSchema>;

export const statusContracts = {
  openApi: contract({
    answer: z.looseObject({ openapi: z.string(), paths: z.looseObject({}) }),
    status: 200,
    refusals: [],
  }),
  status: contract({ answer: statusSchema, status: 200, refusals: [] }),
  live: contract({
    answer: { media: 'text/event-stream', event: liveSnapshotSchema },
    status: 200,
    refusals: ['concurrency_exceeded'],
  }),
};
