import type { ArrivedRequest } from '../routerPort.ts';
import { fcfs } from './fcfs.ts';
import type { Order } from './order.ts';

const inputWeight = 1;
const outputWeight = 2;

/**
 * Virtual token counters (Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024):
 * the tenant that waits and has the smallest counter is next. Input is charged when it is taken,
 * output when its trailers come, which is when a router is told of it. A tenant that comes back is
 * lifted to the smallest counter of those that wait, or, if none does, to that of the last one that
 * left. Within a tenant: by `within`.
 */
export function vtc(within: () => Order = fcfs): Order {
  const queues = new Map<string, Order>();
  const counters = new Map<string, number>();
  let lastLeft: string | null = null;
  let size = 0;
  const counterOf = (tenant: string): number => counters.get(tenant) ?? 0;
  const smallest = (): string | undefined => {
    let best: string | undefined;
    for (const tenant of queues.keys()) {
      if (best === undefined || counterOf(tenant) < counterOf(best)) best = tenant;
    }
    return best;
  };
  const leaveIfEmpty = (tenant: string): void => {
    if (queues.get(tenant)?.size !== 0) return;
    queues.delete(tenant);
    lastLeft = tenant;
  };
  return {
    get size() {
      return size;
    },
    add(request, atMs) {
      const { tenant } = request;
      if (!queues.has(tenant)) {
        const floor = smallest() ?? lastLeft;
        const lifted = floor === null ? 0 : counterOf(floor);
        counters.set(tenant, Math.max(counterOf(tenant), lifted));
        queues.set(tenant, within());
      }
      queues.get(tenant)?.add(request, atMs);
      size += 1;
    },
    remove(request) {
      if (queues.get(request.tenant)?.remove(request) !== true) return false;
      leaveIfEmpty(request.tenant);
      size -= 1;
      return true;
    },
    next(): ArrivedRequest | undefined {
      const tenant = smallest();
      if (tenant === undefined) return undefined;
      const request = queues.get(tenant)?.next();
      if (request !== undefined) {
        counters.set(tenant, counterOf(tenant) + inputWeight * request.inputTokens);
      }
      leaveIfEmpty(tenant);
      size -= 1;
      return request;
    },
    ended({ tenant }, usage) {
      counters.set(tenant, counterOf(tenant) + outputWeight * usage.outputTokens);
    },
  };
}
