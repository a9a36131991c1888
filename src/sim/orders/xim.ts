import { backlogBoundMs, backlogBoundTokens } from '../../domain/scheduler/limits.ts';
import { DeadlineHeap, type Timed } from '../../domain/waiting/deadlineHeap.ts';
import type { ArrivedRequest } from '../routerPort.ts';
import type { Order } from './order.ts';
import { vtc } from './vtc.ts';

/** A second of waiting is worth so much computing, in s. */
const ageing = 0.015;
/** What a token of a prompt is taken to need, in ms: an order knows no machine. */
const msPerToken = backlogBoundMs / backlogBoundTokens;

interface Waiting extends Timed {
  request: ArrivedRequest;
}

/** The shortest prompt first, less ageing. */
function shortestFirst(): Order {
  const heap = new DeadlineHeap<Waiting>();
  const places = new Map<ArrivedRequest, Waiting>();
  return {
    get size() {
      return places.size;
    },
    add(request, atMs) {
      // Whoever came earlier by a second is ahead by the same for ever.
      const wakeAtMs = request.inputTokens * msPerToken + ageing * atMs;
      const place: Waiting = { request, wakeAtMs, heapIndex: -1 };
      places.set(request, place);
      heap.put(place);
    },
    remove(request) {
      const place = places.get(request);
      if (place !== undefined) heap.remove(place);
      return places.delete(request);
    },
    next() {
      const first = heap.peek();
      if (first === undefined) return undefined;
      heap.remove(first);
      places.delete(first.request);
      return first.request;
    },
  };
}

/**
 * The product's order as far as a published rule can have it: virtual token counters between
 * tenants, the shortest prompt first within one. What is cached, deadlines and pairs with instances
 * are the scheduler's.
 */
export const xim = (): Order => vtc(shortestFirst);
