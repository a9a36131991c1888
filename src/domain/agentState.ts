/**
 * The life of an agent as one table, which the store, the API and the dashboard share.
 *
 * Stored are only `enrolled`, `suspended` and `dead`; pending, active and disconnected follow from
 * what is stored and from whether a link is up, so that a slow database never makes an agent look
 * dead.
 */
import type { StoredAgentState } from './directory.ts';

export const agentStates = ['pending', 'active', 'disconnected', 'suspended', 'dead'] as const;

/** The state that users see. */
export type AgentState = (typeof agentStates)[number];

/**
 * Where each state may go. A resumed agent goes back to what its links say, which is `pending` for
 * one that was suspended before it ever linked.
 */
export const agentTransitions: Readonly<Record<AgentState, readonly AgentState[]>> = {
  pending: ['active', 'suspended', 'dead'],
  active: ['disconnected', 'suspended', 'dead'],
  disconnected: ['active', 'suspended', 'dead'],
  suspended: ['active', 'disconnected', 'pending', 'dead'],
  dead: [],
};

/** The same for what is stored. */
export const storedAgentTransitions: Readonly<
  Record<StoredAgentState, readonly StoredAgentState[]>
> = {
  enrolled: ['suspended', 'dead'],
  suspended: ['enrolled', 'dead'],
  dead: [],
};

/** Whether a stored state may be changed so. Staying where one is, is no change and is refused. */
export function mayBecome(change: { from: StoredAgentState; to: StoredAgentState }): boolean {
  return storedAgentTransitions[change.from].includes(change.to);
}

/** A link that was silent for this long on the receiver's clock is down, in ms. */
export const linkSilentAfterMs = 30_000;

/** A pending agent that never linked dies after this long, in ms. */
export const pendingDiesAfterMs = 3_600_000;

/** A disconnected agent dies after this long unless the operator says otherwise, in ms. */
export const disconnectedDiesAfterMs = 30 * 24 * 3_600_000;

/** The state that follows from what is stored and from link presence. */
export function derivedAgentState(agent: {
  stored: StoredAgentState;
  /** A link is up and was heard within `linkSilentAfterMs`. */
  linked: boolean;
  /** It has linked at least once in its life. */
  everLinked: boolean;
}): AgentState {
  if (agent.stored !== 'enrolled') return agent.stored;
  if (agent.linked) return 'active';
  return agent.everLinked ? 'disconnected' : 'pending';
}
