/**
 * From a request to its row of the route table and the row's one handler (C3: there is no other way
 * in). What matches no row, or a row with another method, is refused here in the envelope.
 */
import { routes, type HandlerOf } from '../../api/routes.ts';
import type { Plane } from '../../api/routes/routeRow.ts';
import type { Logger } from '../../lib/log.ts';
import type { Exchange } from './exchange.ts';
import type { HttpLimits } from '../limits.ts';
import { headProblem } from '../listening/requestHead.ts';
import { createRouteMatcher } from './routeMatcher.ts';
import { storeIsAway } from './storeIsAway.ts';

export type Handler = (exchange: Exchange) => void | Promise<void>;

/** One handler for every name in the table: a missing one does not compile. */
export type Handlers = {
  [P in Plane]: Readonly<Record<HandlerOf<P>, Handler>>;
};

export type Dispatch = (exchange: Exchange) => void;

export function createDispatch(options: {
  handlers: Handlers;
  limits: HttpLimits;
  log: Logger;
}): Dispatch {
  const matcher = createRouteMatcher(routes);
  const planes: Readonly<Record<Plane, Readonly<Record<string, Handler>>>> = options.handlers;

  return (exchange) => {
    const { path } = exchange;
    const problem = headProblem(exchange.request);
    if (problem !== undefined) {
      exchange.response.shouldKeepAlive = false;
      exchange.refuse('malformed_request', problem);
      return;
    }
    if ((exchange.request.url ?? '').length > options.limits.targetCharacters) {
      const bound = `${options.limits.targetCharacters} characters`;
      exchange.refuse('headers_too_large', `The address of a request may have ${bound}.`);
      return;
    }
    const match = matcher.match(exchange.request.method ?? '', path);
    switch (match.kind) {
      case 'malformed':
        exchange.refuse('malformed_request', 'The address of the request is malformed.');
        return;
      case 'unknown':
        exchange.cors = !path.startsWith('/api/') && !path.startsWith('/ui/');
        exchange.refuse('unknown_url', 'There is nothing at this address.');
        return;
      case 'wrong_method':
        exchange.cors = match.crossOrigin;
        exchange.refuse('method_not_supported', wrongMethod(match.allow), { allow: match.allow });
        return;
      case 'found':
        break;
    }
    const { route, params } = match;
    exchange.pattern = route.path;
    exchange.params = params;
    exchange.cors = route.crossOrigin;
    const handler = planes[route.plane][route.handler];
    if (handler === undefined) throw new Error(`the route ${route.path} has no handler`);
    run(handler, exchange, options.log);
  };
}

function wrongMethod(allow: readonly string[]): string {
  return `This address does not take the method; it takes ${allow.join(', ')}.`;
}

/** A handler that throws is a bug: 500 with the request id, and the whole story in the log. */
function run(handler: Handler, exchange: Exchange, log: Logger): void {
  const failed = (error: unknown): void => {
    if (storeIsAway(error) && !exchange.response.headersSent) {
      log.warn({ err: error, requestId: exchange.requestId }, 'the store is away');
      const message = 'The database does not answer. Try again in a moment.';
      exchange.refuse('store_unavailable', message, { retryAfterMs: 2000 });
      return;
    }
    log.error({ err: error, requestId: exchange.requestId }, 'a request handler failed');
    if (exchange.response.headersSent) exchange.response.destroy();
    else exchange.refuse('internal', `The server failed. Request ${exchange.requestId}.`);
  };
  try {
    const result = handler(exchange);
    if (result instanceof Promise) result.catch(failed);
  } catch (error) {
    failed(error);
  }
}
