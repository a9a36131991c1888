/**
 * What a handler of the control plane takes and gives, as data: the listener checks calls against
 * it, `openapi.json` is written from it, tests hold answers to it, and handlers take their types
 * from it.
 *
 * A schema checks types and lengths. Ranges that an operator may change are the use-case's, whose
 * refusal says the limit.
 */
import { z } from 'zod';
import type { PlaceKinds } from '../lib/page.ts';
import type { ErrorName } from './errors.ts';

/** An answer that is not one JSON value. */
export interface MediaAnswer {
  media: 'text/event-stream' | 'text/csv' | 'application/x-ndjson';
  /** Of each event's data, where the answer is a stream of them. */
  event?: z.ZodType;
}

/** The caller's browser is sent elsewhere; nothing is answered but `location`. */
export interface RedirectAnswer {
  redirect: true;
}

export interface Contract {
  /** Absent: no parameter is taken. */
  query?: z.ZodObject;
  /** Absent: nothing, or `{}`. */
  body?: z.ZodType;
  answer: z.ZodType | MediaAnswer | RedirectAnswer;
  /** The same as a stream, for callers who ask for it with `?follow=true`. */
  stream?: MediaAnswer;
  /** Of success. */
  status: 200 | 201 | 202 | 302;
  /** Its own, beside those that every control route has (`commonRefusals.ts`). */
  refusals: readonly ErrorName[];
  /** A list in pieces: kinds of the values in its cursor. */
  pages?: PlaceKinds;
  /** The answer has `version`, and its ETag; a change heeds `If-Match`. */
  versioned?: true;
  /** Heeds `Idempotency-Key`. */
  creates?: true;
}

/** Keeps the exact type of a contract. */
export function contract<const Exact extends Contract>(exact: Exact): Exact {
  return exact;
}

/** Rows of one page, where the caller does not say. */
export const defaultPageRows = 50;
/** Rows of one page at most. */
export const longestPageRows = 500;

const pageQuery = {
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(longestPageRows)
    .default(defaultPageRows)
    .describe('Rows of this page at most'),
  after: z.string().max(1024).optional().describe('`next_cursor` of the page before'),
};

/** A list in pieces. `place`: what its cursor holds, as the store orders the list. */
export function pagedList<
  Item extends z.ZodType,
  const Query extends z.core.$ZodLooseShape = Record<never, never>,
>(list: { item: Item; place: PlaceKinds; query?: Query; refusals: readonly ErrorName[] }) {
  const { item, place, query = {} as Query, refusals } = list;
  return {
    query: z.strictObject({ ...query, ...pageQuery }),
    answer: z.strictObject({
      data: z.array(item),
      has_more: z.boolean(),
      /** Opaque; null behind the last row. */
      next_cursor: z.string().nullable(),
    }),
    status: 200,
    refusals,
    pages: place,
  } as const satisfies Contract;
}

/** A list that is short by its nature: all of it. */
export function wholeList<Item extends z.ZodType>(item: Item) {
  return z.strictObject({ data: z.array(item) });
}

/** A time in an answer. */
export const isoTimeSchema = z.iso.datetime();

/** A time from outside, in any zone. */
export const timeInputSchema = z.iso.datetime({ offset: true });
