/** A claim as it begins, and what the driver is told of it. */
import { turnDecision } from '../explaining/decision.ts';
import type { Choice } from './choice.ts';
import type { Dispatch } from './schedulerEvents.ts';
import type { Claim } from './schedulerState.ts';

/** Serves from now on; nothing of what it holds is spent. */
export function newClaim(of: Omit<Claim, 'life' | 'neverRan' | 'spent' | 'phase'>): Claim {
  const { life } = of.instance.agent;
  return { ...of, life, neverRan: false, spent: 'reserved', phase: 'serving' };
}

/** Whether its slot is free once the request is taken from it: an event says so, or one has. */
export const isFree = ({ phase }: Claim, { slotFree }: { slotFree: boolean }): boolean =>
  slotFree || phase === 'closed';

export function dispatchOf(
  { id, instance, waiting, stage, placed, twin }: Claim,
  how: Pick<Dispatch, 'tier' | 'waitedMs' | 'rates' | 'stallMs'> & Pick<Choice, 'decision'>,
): Dispatch {
  const { agent, nonce, modelId } = instance;
  const { decision, ...rest } = how;
  const { work } = placed;
  return {
    type: 'dispatch',
    requestId: waiting.request.id,
    claim: id,
    agentId: agent.entry.id,
    nonce,
    instance: instance.id,
    modelId,
    stage,
    shared: agent.entry.projectId === null,
    hedge: twin !== null,
    attempt: waiting.attemptsBefore + waiting.tried.length + waiting.turnedDown,
    predicted: work.prediction,
    work,
    decision: decision ?? turnDecision(instance, work),
    ...rest,
  };
}
