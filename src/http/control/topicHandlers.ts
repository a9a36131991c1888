/** The handlers of a topic, one for each of its contracts. */
import type { Contract } from '../../api/contract.ts';
import type { ControlHandler } from './controlCall.ts';

export type TopicHandlers<Contracts> = {
  [Name in keyof Contracts]: Contracts[Name] extends Contract
    ? ControlHandler<Contracts[Name]>
    : never;
};
