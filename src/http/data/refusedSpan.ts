/** The span of a request that never came to the router: no key, no such endpoint, a bad body. */
import type { Span } from '../../lib/tracing/span.ts';
import type { TraceContext } from '../../lib/tracing/traceContext.ts';
import type { Exchange } from '../exchanges/exchange.ts';

export function refusedSpan(exchange: Exchange, trace: TraceContext): Span {
  const { clock, arrivedAtMs, response } = exchange;
  const endMs = clock.now();
  // Without a refusal the client left before it was told anything.
  const error = exchange.refusedAs ?? 'client_closed';
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentSpanId: trace.parentSpanId,
    name: `POST ${exchange.pattern}`,
    kind: 'server',
    startMs: endMs - (clock.monotonic() - arrivedAtMs),
    endMs,
    attributes: {
      'http.request.method': 'POST',
      'http.route': exchange.pattern,
      'http.response.status_code': response.headersSent ? response.statusCode : undefined,
      'error.type': error,
      'xim.request.id': exchange.requestId,
      'xim.outcome': error,
    },
    events: [],
    error,
  };
}
