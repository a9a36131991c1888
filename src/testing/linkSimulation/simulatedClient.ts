/** A client of the simulation and its request, with what the oracle wants to know of both. */
import type { EndpointEntry } from '../../domain/directory.ts';
import type { SubmitResult } from '../../router/ports.ts';
import { FakeClient } from '../router/routerHarness.ts';
import type { SimulatedOrder } from './simulatedText.ts';

export class SimulatedClient extends FakeClient {
  /** Virtual time of its first byte. */
  firstByteAtMs: number | undefined;
  private readonly nowMs: () => number;

  constructor(nowMs: () => number) {
    super();
    this.nowMs = nowMs;
  }

  override write(chunk: Buffer): boolean {
    this.firstByteAtMs ??= this.nowMs();
    return super.write(chunk);
  }
}

/** Where a request was seen in the turn in which it came. */
export type AtArrival = 'in_scheduler' | 'refused' | 'turned_away';

export interface Call {
  requestId: string;
  endpoint: EndpointEntry;
  order: SimulatedOrder;
  stream: boolean;
  client: SimulatedClient;
  submittedAtMs: number;
  atArrival: AtArrival;
  result: SubmitResult | undefined;
  /** How often its promise resolved. */
  resolved: number;
  hungUp: boolean;
  /** The router of then has died without a word. */
  orphaned: boolean;
  /** It ended while the journal could not be written; `and_lost`: the router was killed later. */
  unsafe: boolean | 'and_lost';
  /** OPENs that left for it. */
  opens: number;
  /** The first whole event of its stream was read by the router then. */
  firstEventAtMs: number | undefined;
}

/** Nobody answers it any more. */
export function orphan(call: Call): void {
  call.orphaned = true;
  call.client.onClientClosed = undefined;
  call.client.onDrain = undefined;
}

/** What ended while the disk did not take it has died with the router. */
export function loseUnsafe(calls: Iterable<Call>): void {
  for (const call of calls) {
    if (call.result !== undefined && call.unsafe) call.unsafe = 'and_lost';
  }
}
