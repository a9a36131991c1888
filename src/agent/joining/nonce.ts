/** A signed call of the enrolment routes: nonce, signature, post; a forgotten nonce is replaced. */
import type { z } from 'zod';
import { nonceAnswerSchema } from '../../api/enrollment.ts';
import { maxNonceAttempts } from '../limits.ts';
import type { CallOutcome, ControlClient } from './controlClient.ts';

/**
 * Takes a nonce (single use, 60 s) and posts what `body` makes of it. A `nonce_invalid` answer, as
 * after a restart of the server, is met with a fresh nonce, at most three times in all.
 */
export async function postSigned<Answer>(options: {
  client: ControlClient;
  path: string;
  schema: z.ZodType<Answer>;
  body: (nonce: string) => unknown;
  signal: AbortSignal;
}): Promise<CallOutcome<Answer>> {
  const { client, path, schema, signal } = options;
  for (let attempt = 1; ; attempt += 1) {
    const got = await client.get({ path: '/v1/enroll/nonce', schema: nonceAnswerSchema, signal });
    if (got.kind !== 'ok') return got;
    const body = options.body(got.answer.nonce);
    const posted = await client.post({ path, schema, body, signal });
    const forgotten = posted.kind === 'refused' && posted.code === 'nonce_invalid';
    if (!forgotten || attempt === maxNonceAttempts) return posted;
  }
}
