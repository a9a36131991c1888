/** Agents, of a project or of the platform. */
import { removeAgent, resumeAgent, suspendAgent } from './agentLifecycle.ts';
import { agentEvents, agentOf, listAgents } from './agents.ts';

export const agentUseCases = {
  agents: listAgents,
  agent: agentOf,
  agentEvents,
  suspendAgent,
  resumeAgent,
  removeAgent,
};
