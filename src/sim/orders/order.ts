/** Who is next among those that wait in the router. */
import type { ArrivedRequest, Usage } from '../routerPort.ts';

export interface Order {
  /** Requests that wait. */
  readonly size: number;
  /** `atMs`: virtual time. */
  add(request: ArrivedRequest, atMs: number): void;
  /** Takes one out that is not wanted any more; false: it did not wait. */
  remove(request: ArrivedRequest): boolean;
  /** The next one; undefined: none waits. */
  next(): ArrivedRequest | undefined;
  /** What a request that was taken got in the end. */
  ended?(request: ArrivedRequest, usage: Usage): void;
}
