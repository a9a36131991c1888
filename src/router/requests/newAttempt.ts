/** Another attempt of a request, and how it begins. */
import type { Dispatch } from '../../domain/scheduler/schedulerEvents.ts';
import type { AgentLink } from '../links/agentLink.ts';
import type { InferenceRequest } from '../ports.ts';
import type { Continuation, Resumable } from '../resuming/resumable.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import { openMessage } from './openMessage.ts';
import type { RunContext } from './runContext.ts';

export function newAttempt(
  { time, limits, tiers }: RunContext,
  what: {
    dispatch: Dispatch;
    link: AgentLink;
    owner: AttemptOwner;
    continuation: Continuation | null;
    keeper: Resumable | null;
    nowMs: number;
  },
): Attempt {
  return new Attempt({ ...what, time, limits, tier: tiers[what.dispatch.tier] });
}

/** `body`: the client's; one that goes on with an answer has another. */
export function startAttempt(
  attempt: Attempt,
  what: {
    context: RunContext;
    request: Omit<InferenceRequest, 'body'>;
    body: Buffer;
    startedAtMs: number;
  },
): void {
  const { context, request, startedAtMs } = what;
  const { dispatch, continuation } = attempt;
  const body = continuation?.body ?? what.body;
  const cacheSalt = context.cacheSalt(request.project.id);
  const facts = { dispatch, bodyBytes: body.length, startedAtMs, cacheSalt };
  attempt.start(openMessage(request, facts), body);
}
