/** Operations of the planes that have no contracts: data, enrolment, link, files, health. */
import { z } from 'zod';
import {
  enrollAnswerSchema,
  enrollRequestSchema,
  nonceAnswerSchema,
  refreshAnswerSchema,
  refreshRequestSchema,
} from '../enrollment.ts';
import type { ErrorName } from '../errors.ts';
import type { HandlerOf } from '../routes.ts';
import type { Plane } from '../routes/routeRow.ts';
import { chatAnswerSchema, chatBodySchema, chatChunkSchema } from './chatSchemas.ts';
import { modelSchema, modelsSchema } from './chatSchemas.ts';
import type { Operation, OperationAnswer } from './operation.ts';

type OtherHandler = HandlerOf<Exclude<Plane, 'control'>>;

const always: readonly ErrorName[] = [
  'malformed_request',
  'headers_too_large',
  'store_unavailable',
  'internal',
];

const byKey: readonly ErrorName[] = [
  ...always,
  'missing_key',
  'invalid_api_key',
  'ip_not_authorized',
  'insufficient_permissions',
];

const notThere: readonly ErrorName[] = [
  'project_not_found',
  'endpoint_not_found',
  'model_not_found',
];

const badBody: readonly ErrorName[] = [
  'not_json',
  'invalid_type',
  'invalid_value',
  'missing_required_parameter',
  'request_too_large',
  'request_timeout',
];

const chatRefusals: readonly ErrorName[] = [
  ...byKey,
  ...notThere,
  ...badBody,
  'unsupported_value',
  'unsupported_parameter',
  'context_length_exceeded',
  'rate_limited_requests',
  'rate_limited_tokens',
  'concurrency_exceeded',
  'queue_full',
  'insufficient_quota',
  'queue_timeout',
  'no_agent_available',
  'journal_unavailable',
  'model_loading',
  'endpoint_inactive',
  'shutting_down',
  'upstream_error',
  'timeout',
];

const enrolmentRefusals: readonly ErrorName[] = [
  ...always,
  ...badBody,
  'queue_full',
  'rate_limited_requests',
  'nonce_invalid',
  'signature_invalid',
  'agent_suspended',
  'agent_dead',
];

function json(status: number, schema: z.ZodType): OperationAnswer {
  return { status, media: 'application/json', schema };
}

const page: OperationAnswer = { status: 200, media: 'text/html' };

export const otherOperations: Readonly<Record<OtherHandler, Operation>> = {
  chat: {
    headers: z.object({
      'x-xim-region': z
        .string()
        .regex(/^[\x21-\x7e]{1,24}$/)
        .optional()
        .describe('Region that the request prefers'),
      'x-xim-progress': z
        .enum(['on', 'off'])
        .optional()
        .describe('A stream opens at once and tells of the place in line in comments'),
    }),
    body: chatBodySchema,
    answers: [
      json(200, chatAnswerSchema),
      { status: 200, media: 'text/event-stream', schema: chatChunkSchema },
    ],
    answerHeaders: {
      'x-xim-agent': 'The agent that served: own ones by name, others as `shared`',
      'x-xim-isolation': 'The isolation level that served',
      'x-xim-budget-used': 'Share that was spent of a budget, where one is near its end',
    },
    refusals: chatRefusals,
  },
  models: { answers: [json(200, modelsSchema)], refusals: [...byKey, ...notThere] },
  model: { answers: [json(200, modelSchema)], refusals: [...byKey, ...notThere] },
  preflight: { answers: [{ status: 204, media: '' }], refusals: [] },
  nonce: {
    answers: [json(200, nonceAnswerSchema)],
    refusals: [...always, 'rate_limited_requests'],
  },
  enroll: {
    body: enrollRequestSchema,
    answers: [json(201, enrollAnswerSchema)],
    refusals: [
      ...enrolmentRefusals,
      'join_key_invalid',
      'join_key_expired',
      'join_key_revoked',
      'join_key_used_up',
      'enrollment_rejected',
    ],
  },
  refresh: {
    body: refreshRequestSchema,
    answers: [json(200, refreshAnswerSchema)],
    refusals: [...enrolmentRefusals, 'rotation_token_invalid'],
  },
  link: {
    answers: [{ status: 101, media: '' }],
    refusals: [...always, 'upgrade_required', 'rate_limited_requests', 'shutting_down'],
  },
  root: { answers: [{ status: 302, media: '' }], refusals: ['internal'] },
  dashboard: { answers: [page], refusals: ['unknown_url', 'malformed_request', 'internal'] },
  installScript: {
    answers: [{ status: 200, media: 'text/x-shellscript' }],
    refusals: ['unknown_url', 'internal'],
  },
  installPackage: {
    answers: [{ status: 200, media: 'application/gzip' }],
    refusals: ['unknown_url', 'internal'],
  },
  alive: { answers: [json(200, z.strictObject({ status: z.literal('ok') }))], refusals: [] },
  ready: {
    answers: [json(200, z.strictObject({ status: z.literal('ready') }))],
    refusals: ['shutting_down'],
  },
  metrics: {
    answers: [{ status: 200, media: 'text/plain' }],
    refusals: byKey,
  },
};
