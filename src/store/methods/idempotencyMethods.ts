import type { IdempotencyStore } from '../contract/idempotencyStore.ts';
import {
  claimIdempotencyKey,
  deleteExpiredIdempotencyKeys,
  keepIdempotentAnswer,
  releaseIdempotencyKey,
} from '../queries/idempotency.ts';
import type { MethodsOf } from './method.ts';

export const idempotencyMethods: MethodsOf<IdempotencyStore> = {
  claimIdempotencyKey: { access: 'write', run: claimIdempotencyKey },
  keepIdempotentAnswer: { access: 'write', run: keepIdempotentAnswer },
  releaseIdempotencyKey: { access: 'write', run: releaseIdempotencyKey },
  deleteExpiredIdempotencyKeys: { access: 'upkeep', run: deleteExpiredIdempotencyKeys },
};
