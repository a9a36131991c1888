/** A claim as it begins, and what the driver is told of it. */
import { turnDecision } from '../explaining/decision.ts';
import type { Choice } from './choice.ts';
import type { Dispatch } from './schedulerEvents.ts';
import type { Claim, WaitingRequest } from './schedulerState.ts';
import { triedBy } from './verdict.ts';

/** Serves from now on; nothing of what it holds is spent. */
export function newClaim(of: Omit<Claim, 'life' | 'neverRan' | 'spent' | 'phase'>): Claim {
  const { life } = of.instance.agent;
  return { ...of, life, neverRan: false, spent: 'reserved', phase: 'serving' };
}

/** Whether its slot is free once the request is taken from it: an event says so, or one has. */
export const isFree = ({ phase }: Claim, { slotFree }: { slotFree: boolean }): boolean =>
  slotFree || phase === 'closed';

/** Somebody beside the one that has the request, who goes on with what that one holds (L7). */
export function chooseBeside(
  claim: Claim,
  choose: (waiting: WaitingRequest) => Choice | null,
): Choice | null {
  const { waiting } = claim;
  waiting.tried.push(triedBy(claim));
  waiting.left = claim;
  const choice = choose(waiting);
  waiting.left = null;
  waiting.tried.pop();
  return choice;
}

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
