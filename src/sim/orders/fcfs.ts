import type { ArrivedRequest } from '../routerPort.ts';
import type { Order } from './order.ts';

/** First come, first served. */
export function fcfs(): Order {
  // A set keeps the order in which things were added, and gives any of them up at once.
  const waiting = new Set<ArrivedRequest>();
  return {
    get size() {
      return waiting.size;
    },
    add: (request) => void waiting.add(request),
    remove: (request) => waiting.delete(request),
    next() {
      const [first] = waiting;
      if (first !== undefined) waiting.delete(first);
      return first;
    },
  };
}
