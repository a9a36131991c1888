/** What a control route is given by Hono, and how it refuses. */
import type { Context } from 'hono';
import type { z } from 'zod';
import { errorEnvelope, errorTable, type ErrorName } from '../../api/errors.ts';
import type { Caller } from '../../control/principal.ts';
import { refusalHeaders, type Exchange, type RefusalDetails } from '../exchange.ts';
import { invalidInput } from '../invalidInput.ts';

export interface ControlEnv {
  /** The body was read already, within its bound. */
  Bindings: { exchange: Exchange; body: Buffer };
  Variables: {
    caller: Caller;
    /** The cookie's token, when that is what authenticated the caller. */
    sessionToken: string | undefined;
  };
}

export type ControlContext = Context<ControlEnv>;
export type ControlHandler = (context: ControlContext) => Response | Promise<Response>;

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

export type Input<Value> = { ok: true; value: Value } | { ok: false; response: Response };

/** The body, checked; an absent one counts as `{}`, for commands that need none. */
export function readInput<Schema extends z.ZodType>(
  context: ControlContext,
  schema: Schema,
): Input<z.output<Schema>> {
  const text = context.env.body.toString('utf8');
  let input: unknown;
  try {
    input = text === '' ? {} : JSON.parse(text);
  } catch {
    return { ok: false, response: refuse(context, 'not_json', 'The request body is not JSON.') };
  }
  return checked(context, schema, input);
}

/** The query, checked. */
export function readQuery<Schema extends z.ZodType>(
  context: ControlContext,
  schema: Schema,
): Input<z.output<Schema>> {
  return checked(context, schema, context.req.query());
}

function checked<Schema extends z.ZodType>(
  context: ControlContext,
  schema: Schema,
  input: unknown,
): Input<z.output<Schema>> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return { ok: true, value: parsed.data };
  const { name, message, param } = invalidInput(parsed.error, input);
  return { ok: false, response: refuse(context, name, message, { param }) };
}

/** A named part of the address; the route table says that it is there. */
export function part(context: ControlContext, name: string): string {
  return context.env.exchange.params[name] ?? '';
}
