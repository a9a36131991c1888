/** Agents by their name, among those that are alive. */
import type { AgentAnswer } from '../../api/control/agents.ts';
import type { Reference } from './reference.ts';

export const agentRef: Reference<AgentAnswer> = {
  what: 'agent',
  list: '/agents',
  topic: 'agents',
  paged: true,
  idOf: (agent) => agent.id,
  nameOf: (agent) => agent.name,
  isAlive: (agent) => agent.state !== 'dead',
};

/** The same, where a shared one is out of reach below a project. */
export const ownAgentRef: Reference<AgentAnswer> = {
  ...agentRef,
  ofPlatform: (agent) => agent.ownership === 'shared',
};
