/**
 * Serves a call under its `Idempotency-Key` (C5): once, and again with the first answer. What says
 * "try again" is not kept.
 */
import type { Control } from '../../control/control.ts';
import type { Logger } from '../../lib/log.ts';
import { longestIdempotencyKey } from '../limits.ts';
import type { ControlCall, ControlHandler } from './controlCall.ts';
import { refuse } from './controlContext.ts';

/** Answers that a repeated call may well get another one for. */
const passing = new Set([401, 408, 425, 429]);

/** Headers of an answer that belong to it, not to its transport. */
const keptHeaders = ['content-type', 'etag', 'x-should-retry'];

export async function serveOnce(
  call: ControlCall,
  parts: { handler: ControlHandler; control: Pick<Control, 'beginIdempotentCall'>; log: Logger },
): Promise<Response> {
  const { handler, control, log } = parts;
  const { context } = call;
  const key = context.req.header('idempotency-key');
  if (key === undefined) return handler(call);
  if (!/^[\x20-\x7e]+$/.test(key) || key.length > longestIdempotencyKey) {
    const rule = `1 to ${longestIdempotencyKey} printable ASCII characters`;
    const message = `idempotency-key must be ${rule}.`;
    return refuse(context, 'invalid_value', message, { param: 'idempotency-key' });
  }
  const { exchange, body } = context.env;
  const request = [context.req.method, exchange.request.url ?? '', body];
  const begun = await control.beginIdempotentCall({ caller: call.caller, key, request });
  if (!begun.ok) return call.refuse(begun);
  if (begun.kind === 'repeated') {
    const { status, headers, body: text } = begun.answer;
    const repeated = { ...headers, 'idempotent-replayed': 'true' };
    return new Response(text, { status, headers: repeated });
  }
  let answer: Response;
  try {
    answer = await handler({ ...call, caller: begun.caller });
  } catch (error) {
    await begun.release();
    throw error;
  }
  if (answer.status >= 500 || passing.has(answer.status)) {
    await begun.release();
    return answer;
  }
  const headers: Record<string, string> = {};
  for (const name of keptHeaders) {
    const value = answer.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  const text = await answer.clone().text();
  // The change is made: the caller gets its answer, whether or not it can be given again.
  await begun.keep({ status: answer.status, headers, body: text }).catch((error: unknown) => {
    log.warn({ err: error }, 'an answer was not kept for its idempotency key');
  });
  return answer;
}
