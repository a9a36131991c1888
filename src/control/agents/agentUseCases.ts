/** Agents, of a project or of the platform. */
import { updateAgent } from './changeAgent.ts';
import {
  removeAgent,
  resumeAgent,
  revokeAgentCredentials,
  suspendAgent,
} from './agentLifecycle.ts';
import { agentHealth } from './agentHealth.ts';
import { agentEvents, agentOf, listAgents } from './agents.ts';

export const agentUseCases = {
  agents: listAgents,
  agent: agentOf,
  agentEvents,
  agentHealth,
  updateAgent,
  suspendAgent,
  resumeAgent,
  removeAgent,
  revokeAgentCredentials,
};
