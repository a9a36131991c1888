/**
 * `/healthz` (the process answers), `/readyz` (it takes requests) and `/metrics`, which is for this
 * machine and for holders of a management key, because it counts what all projects do.
 */
import type { HandlerOf } from '../api/routes.ts';
import type { ApiKeyAuth } from './data/apiKeyAuth.ts';
import { isLoopback } from './addresses/clientAddress.ts';
import type { Handler } from './exchanges/dispatch.ts';
import type { Exchange } from './exchanges/exchange.ts';

export function createHealthHandlers(options: {
  auth: ApiKeyAuth;
  /** False while starting, and from the moment that a drain begins. */
  ready: () => boolean;
  /** Prometheus' text format. */
  metrics: () => string;
}): Readonly<Record<HandlerOf<'health'>, Handler>> {
  const { auth, ready, metrics } = options;
  return {
    alive: (exchange) => exchange.json(200, { status: 'ok' }, noStore),
    ready(exchange) {
      if (ready()) exchange.json(200, { status: 'ready' }, noStore);
      else exchange.refuse('shutting_down', 'The server takes no requests now.');
    },
    metrics(exchange) {
      const { authorization } = exchange.request.headers;
      const { address } = exchange;
      if (authorization !== undefined || !isLoopback(address) || wasForwarded(exchange)) {
        const caller = auth.authenticate({ authorization, address, scope: 'management' });
        if (!caller.ok) return exchange.refuse(caller.name, caller.message);
      }
      const type = 'text/plain; version=0.0.4; charset=utf-8';
      exchange.bytes({ status: 200, type, headers: noStore, body: Buffer.from(metrics()) });
    },
  };
}

/** A proxy on this machine is not this machine: it speaks for others. */
function wasForwarded(exchange: Exchange): boolean {
  const { headers } = exchange.request;
  return headers['x-forwarded-for'] !== undefined || headers['forwarded'] !== undefined;
}

const noStore = ['cache-control', 'no-store'];
