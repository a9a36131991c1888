/** A browser asks whether a page may call: it may where no cookie is read, with its own key. */
import { routes } from '../../api/routes.ts';
import { preflightHeaders } from '../exchanges/corsHeaders.ts';
import type { Exchange } from '../exchanges/exchange.ts';
import { createRouteMatcher } from '../exchanges/routeMatcher.ts';

/** Answers from the route table: the methods that the asked address takes. */
export function createPreflight(): (exchange: Exchange) => void {
  const matcher = createRouteMatcher(routes.filter(({ crossOrigin }) => crossOrigin));
  return (exchange) => {
    const match = matcher.match('', exchange.path);
    const methods = match.kind === 'wrong_method' ? match.allow : [];
    const requestedHeaders = exchange.request.headers['access-control-request-headers'];
    exchange.empty(204, preflightHeaders({ requestedHeaders, methods }));
  };
}
