/** A control route's operation, from its contract. */
import { z } from 'zod';
import { refusalsOf } from '../commonRefusals.ts';
import type { Contract } from '../contract.ts';
import type { Route } from '../routes.ts';
import type { Operation, OperationAnswer } from './operation.ts';

const idempotencyKey = z
  .string()
  .regex(/^[\x20-\x7e]{1,255}$/)
  .optional()
  .describe('The same call under the same key is carried out once, and answered alike for a day');

const ifMatch = z
  .string()
  .regex(/^((W\/)?"\d{1,15}"|\*)$/)
  .optional()
  .describe('ETag of the answer that the change is made against; another version refuses it');

export function controlOperation(route: Route, contract: Contract): Operation {
  const { method } = route;
  const versioned = contract.versioned === true;
  const headers = {
    ...(contract.creates === true ? { 'idempotency-key': idempotencyKey } : {}),
    ...(versioned && method !== 'GET' ? { 'if-match': ifMatch } : {}),
  };
  return {
    ...(contract.query === undefined ? {} : { query: contract.query }),
    ...(Object.keys(headers).length === 0 ? {} : { headers: z.object(headers) }),
    ...(contract.body === undefined
      ? {}
      : { body: contract.body, bodyOptional: contract.body.safeParse({}).success }),
    answers: [
      answerOf(contract),
      ...(contract.stream === undefined
        ? []
        : [answerOf({ ...contract, answer: contract.stream })]),
    ],
    answerHeaders: {
      ...('redirect' in contract.answer ? { location: 'Where the browser goes on' } : {}),
      ...(versioned ? { etag: 'The version of the thing, for if-match' } : {}),
      ...(contract.creates === true
        ? { 'idempotent-replayed': '`true` on the answer of an earlier call under the key' }
        : {}),
    },
    refusals: refusalsOf(route, contract),
  };
}

function answerOf({ status, answer }: Contract): OperationAnswer {
  if ('redirect' in answer) return { status, media: '' };
  if (!('media' in answer)) return { status, media: 'application/json', schema: answer };
  const { media, event } = answer;
  return { status, media, ...(event === undefined ? {} : { schema: event }) };
}
