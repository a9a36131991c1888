/** A published rule: which of the instances that may take a request gets it. */
import type { Random } from '../../lib/random.ts';
import type { ArrivedRequest, Predicted } from '../routerPort.ts';
import type { Dispatched, InstanceAccount } from './instanceAccount.ts';

export interface Policy {
  /** `candidates` are in the order of the fleet and at least one. */
  choose(
    request: ArrivedRequest,
    candidates: readonly InstanceAccount[],
    nowMs: number,
  ): InstanceAccount;
  /** Said before the account takes the request, where the rule predicts. */
  predict?(request: ArrivedRequest, account: InstanceAccount, nowMs: number): Predicted;
  /** For rules that keep more than the account; said after it has been brought up to date. */
  dispatched?(dispatched: Dispatched, nowMs: number): void;
  firstByte?(dispatched: Dispatched, nowMs: number): void;
  ended?(dispatched: Dispatched, nowMs: number): void;
  left?(account: InstanceAccount): void;
}

/** Makes a rule for one run. */
export type PolicyFactory = (options: { random: Random }) => Policy;
