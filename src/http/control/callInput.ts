/**
 * Reads query, body and `If-Match` of a call as its contract says. What a handler is given has the
 * right types, no unknown member, and nothing that a database cannot keep.
 */
import { z } from 'zod';
import type { Contract } from '../../api/contract.ts';
import type { ErrorName } from '../../api/errors.ts';
import { nestsDeeperThan } from '../../lib/json/jsonNesting.ts';
import { decodeCursor, type Page } from '../../lib/page.ts';
import { invalidInput } from '../exchanges/invalidInput.ts';
import { controlBodyNesting } from '../limits.ts';

export interface CallInput {
  query: unknown;
  body: unknown;
  page: Page | undefined;
  expectedVersion: number | null;
}

export type ReadInput =
  | { ok: true; input: CallInput }
  | { ok: false; name: ErrorName; message: string; param: string | null };

const nothing = z.strictObject({});

/** `search` is the query as it came, without its question mark. */
export function readCallInput(
  contract: Contract,
  call: { method: string; search: string; body: Buffer; ifMatch: string | undefined },
): ReadInput {
  const query = readQuery(contract, call.search);
  if (!query.ok) return query;
  const body = call.method === 'GET' ? { ok: true as const, value: {} } : readBody(contract, call);
  if (!body.ok) return body;
  const page = readPage(contract, query.value);
  if (!page.ok) return page;
  const heeds = contract.versioned === true && call.method !== 'GET';
  const version = heeds ? readIfMatch(call.ifMatch) : { ok: true as const, value: null };
  if (!version.ok) return version;
  const input = { query: query.value, body: body.value };
  return { ok: true, input: { ...input, page: page.value, expectedVersion: version.value } };
}

type Read<Value> = { ok: true; value: Value } | Extract<ReadInput, { ok: false }>;

function wrong(name: ErrorName, message: string, param: string | null): Read<never> {
  return { ok: false, name, message, param };
}

function readQuery({ query = nothing }: Contract, search: string): Read<unknown> {
  const given = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(search)) {
    if (given.has(name)) return wrong('invalid_value', `'${name}' was given twice.`, name);
    given.set(name, value);
  }
  return checked(query, Object.fromEntries(given));
}

/** An absent body counts as `{}`, for commands that need none. */
function readBody({ body = nothing }: Contract, call: { body: Buffer }): Read<unknown> {
  if (call.body.length === 0) return checked(body, {});
  if (nestsDeeperThan(call.body, controlBodyNesting)) {
    const message = `The body nests deeper than ${controlBodyNesting} levels.`;
    return wrong('invalid_value', message, null);
  }
  let given: unknown;
  try {
    given = JSON.parse(call.body.toString('utf8'));
  } catch {
    return wrong('not_json', 'The request body is not JSON.', null);
  }
  return checked(body, given);
}

function checked(schema: z.ZodType, given: unknown): Read<unknown> {
  const parsed = schema.safeParse(given);
  if (!parsed.success) return { ok: false, ...invalidInput(parsed.error, given) };
  if (holdsNul(parsed.data)) {
    return wrong(
      'invalid_value',
      'A text holds the character U+0000, which is kept nowhere.',
      null,
    );
  }
  return { ok: true, value: parsed.data };
}

/** PostgreSQL keeps no NUL in a text. The depth was bounded before. */
function holdsNul(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('\0');
  if (value === null || typeof value !== 'object') return false;
  return Object.entries(value).some(([name, inner]) => name.includes('\0') || holdsNul(inner));
}

function readPage({ pages }: Contract, query: unknown): Read<Page | undefined> {
  if (pages === undefined) return { ok: true, value: undefined };
  const { limit, after: cursor } = query as { limit: number; after?: string };
  if (cursor === undefined) return { ok: true, value: { after: null, limit } };
  const after = decodeCursor(cursor, pages);
  if (after !== undefined) return { ok: true, value: { after, limit } };
  return wrong('invalid_value', "'after' is not the next_cursor of a page of this list.", 'after');
}

/**
 * The version that the caller saw last; `*` and absence are any. A proxy that compresses has made
 * the ETag a weak one: it names the version all the same.
 */
function readIfMatch(header: string | undefined): Read<number | null> {
  if (header === undefined || header === '*') return { ok: true, value: null };
  const version = /^(?:W\/)?"(\d{1,15})"$/.exec(header)?.[1];
  if (version !== undefined) return { ok: true, value: Number(version) };
  const message = 'if-match must be the ETag of an earlier answer, such as "3", or *.';
  return wrong('invalid_value', message, 'if-match');
}
