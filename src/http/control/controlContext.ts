/** What a control route is given by Hono, and how it refuses. */
import type { Context } from 'hono';
import { errorEnvelope, errorTable, type ErrorName } from '../../api/errors.ts';
import { refusalHeaders, type Exchange, type RefusalDetails } from '../exchanges/exchange.ts';

export interface ControlEnv {
  /** The body was read already, within its bound. */
  Bindings: { exchange: Exchange; body: Buffer };
}

export type ControlContext = Context<ControlEnv>;

/** The envelope of a row of the error table, as everywhere. */
export function refuse(
  context: ControlContext,
  name: ErrorName,
  message: string,
  details: RefusalDetails = {},
): Response {
  const headers = refusalHeaders(name, details);
  for (let at = 0; at < headers.length; at += 2) {
    context.header(headers[at] as string, headers[at + 1]);
  }
  const { param = null, extra } = details;
  const envelope = errorEnvelope(name, message, { param, ...(extra ? { extra } : {}) });
  return context.json(envelope, errorTable[name].status);
}
