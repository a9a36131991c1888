/** What the driver is told of a claim. */
import type { Dispatch } from './schedulerEvents.ts';
import type { Claim } from './schedulerState.ts';

export function dispatchOf(
  { id, instance, waiting, stage, placed }: Claim,
  how: Pick<Dispatch, 'tier' | 'candidates' | 'waitedMs' | 'rates'>,
): Dispatch {
  const { agent, nonce, modelId } = instance;
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
    attempt: waiting.tried.length + waiting.turnedDown,
    predicted: placed.work.prediction,
    ...how,
  };
}
