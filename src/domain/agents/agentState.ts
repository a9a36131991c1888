/**
 * The life of an agent as one table, which the store, the API and the dashboard share.
 *
 * Stored are only `enrolled`, `suspended` and `dead`; pending, active and disconnected follow from
 * what is stored and from whether a link is up, so that a slow database never makes an agent look
 * dead.
 */
import type { StoredAgentState } from '../directory.ts';

export const agentStates = ['pending', 'active', 'disconnected', 'suspended', 'dead'] as const;

/** The state that users see. */
export type AgentState = (typeof agentStates)[number];

/** What a state means, and where it leads. */
interface AgentStateRow {
  stored: StoredAgentState;
  /** Whether a link is up; null: whichever. */
  linked: boolean | null;
  /** Whether one ever was; null: whichever. */
  everLinked: boolean | null;
  leavesTo: readonly AgentState[];
}

/**
 * The table. A resumed agent goes back to what its links say, which is `pending` for one that was
 * suspended before it ever linked.
 */
export const agentStateTable: Readonly<Record<AgentState, AgentStateRow>> = {
  pending: {
    stored: 'enrolled',
    linked: false,
    everLinked: false,
    leavesTo: ['active', 'suspended', 'dead'],
  },
  active: {
    stored: 'enrolled',
    linked: true,
    everLinked: null,
    leavesTo: ['disconnected', 'suspended', 'dead'],
  },
  disconnected: {
    stored: 'enrolled',
    linked: false,
    everLinked: true,
    leavesTo: ['active', 'suspended', 'dead'],
  },
  suspended: {
    stored: 'suspended',
    linked: null,
    everLinked: null,
    leavesTo: ['active', 'disconnected', 'pending', 'dead'],
  },
  dead: { stored: 'dead', linked: null, everLinked: null, leavesTo: [] },
};

/** Whether a stored state may be changed so. Staying where one is, is no change and is refused. */
export function mayBecome(change: { from: StoredAgentState; to: StoredAgentState }): boolean {
  const { from, to } = change;
  const rows = Object.values(agentStateTable).filter(({ stored }) => stored === from);
  const reached = rows.flatMap(({ leavesTo }) => leavesTo);
  return from !== to && reached.some((state) => agentStateTable[state].stored === to);
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
  const { stored, linked, everLinked } = agent;
  const state = agentStates.find((name) => {
    const row = agentStateTable[name];
    return (
      row.stored === stored &&
      (row.linked ?? linked) === linked &&
      (row.everLinked ?? everLinked) === everLinked
    );
  });
  if (state === undefined) throw new Error('no state of an agent for what is stored and linked');
  return state;
}
