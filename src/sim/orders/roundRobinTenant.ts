import type { ArrivedRequest } from '../routerPort.ts';
import { fcfs } from './fcfs.ts';
import type { Order } from './order.ts';

/** One of each tenant in turn, of a tenant first come, first served. */
export function roundRobinTenant(): Order {
  /** Tenants that wait, in the order of their turns. */
  const turns = new Map<string, Order>();
  let size = 0;
  return {
    get size() {
      return size;
    },
    add(request, atMs) {
      const own = turns.get(request.tenant) ?? fcfs();
      turns.set(request.tenant, own);
      own.add(request, atMs);
      size += 1;
    },
    remove(request) {
      const own = turns.get(request.tenant);
      if (own?.remove(request) !== true) return false;
      if (own.size === 0) turns.delete(request.tenant);
      size -= 1;
      return true;
    },
    next(): ArrivedRequest | undefined {
      const [turn] = turns;
      if (turn === undefined) return undefined;
      const [tenant, own] = turn;
      turns.delete(tenant);
      const request = own.next();
      if (own.size > 0) turns.set(tenant, own);
      size -= 1;
      return request;
    },
  };
}
