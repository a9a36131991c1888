/**
 * One call of a control route as its handler sees it: caller, input that the contract has checked,
 * and ways to answer that the contract allows.
 */
import type { z } from 'zod';
import type { Contract } from '../../api/contract.ts';
import type { Caller } from '../../control/principal.ts';
import { encodeCursor, type Page } from '../../lib/page.ts';
import type { ControlContext } from './controlContext.ts';
import { refuseFor, type ControlRefusal } from './controlRefusals.ts';
import type { CallInput } from './callInput.ts';

type QueryOf<C extends Contract> = C extends { query: infer Query extends z.ZodType }
  ? z.output<Query>
  : Record<never, never>;
type BodyOf<C extends Contract> = C extends { body: infer Body extends z.ZodType }
  ? z.output<Body>
  : Record<never, never>;
type AnswerOf<C extends Contract> = C['answer'] extends z.ZodType ? z.input<C['answer']> : never;

export interface ControlCall<C extends Contract = Contract> {
  caller: Caller;
  query: QueryOf<C>;
  body: BodyOf<C>;
  /** Of lists that come in pieces. */
  page: C extends { pages: readonly unknown[] } ? Page : undefined;
  /** From `If-Match`; null: the last writer wins. */
  expectedVersion: number | null;
  /** The cookie's token, when that is what authenticated the caller. */
  sessionToken: string | undefined;
  /**
   * A named part of the address; the route table says that it is there. The project of an address
   * that has none is the key's.
   */
  part: (name: string) => string;
  /** The contract's answer, with its status and its ETag. */
  json: (answer: AnswerOf<C>) => Response;
  /** A use-case's no. */
  refuse: (refusal: ControlRefusal) => Response;
  /** For what only HTTP has: cookies, streams. */
  context: ControlContext;
}

export type ControlHandler<C extends Contract = Contract> = (
  call: ControlCall<C>,
) => Response | Promise<Response>;

/** Typed by `ControlHandler` at the route's row; here a contract is any contract. */
export function createCall(options: {
  context: ControlContext;
  contract: Contract;
  caller: Caller;
  sessionToken: string | undefined;
  input: CallInput;
}): ControlCall {
  const { context, contract, caller, sessionToken, input } = options;
  const own = caller.principal.kind === 'api_key' ? caller.principal.projectId : '';
  return {
    ...(input as Pick<ControlCall, 'query' | 'body' | 'page' | 'expectedVersion'>),
    caller,
    sessionToken,
    context,
    part: (name) => context.env.exchange.params[name] ?? (name === 'project' ? own : ''),
    json(answer: unknown) {
      const { version } = answer as { version?: number };
      // What was deleted has none.
      if (contract.versioned === true && version !== undefined) {
        context.header('etag', `"${version}"`);
      }
      return context.json(answer as object, contract.status);
    },
    refuse: (refusal) => refuseFor(context, refusal),
  };
}

/** A paged list's answer. */
export function pageAnswer<Item, Shown>(
  paged: { items: readonly Item[]; next: Page['after'] },
  show: (item: Item) => Shown,
): { data: Shown[]; has_more: boolean; next_cursor: string | null } {
  const { items, next } = paged;
  return {
    data: items.map((item) => show(item)),
    has_more: next !== null,
    next_cursor: next === null ? null : encodeCursor(next),
  };
}
