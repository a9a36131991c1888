import type { AgentStore } from '../contract/agentStore.ts';
import { agentEvents, insertAgentEvent } from '../agents/agentEvents.ts';
import {
  agentById,
  expireAgents,
  markFirstLinked,
  markSeen,
  setAgentState,
} from '../agents/agents.ts';
import { takenAgentNames } from '../agents/agentNames.ts';
import { agentPage } from '../agents/agentPage.ts';
import { updateAgent } from '../agents/updateAgent.ts';
import type { MethodsOf } from './method.ts';

export const agentMethods: MethodsOf<AgentStore> = {
  agentById: { access: 'read', run: agentById },
  takenAgentNames: { access: 'read', run: takenAgentNames },
  agentPage: { access: 'read', run: agentPage },
  updateAgent: { access: 'change', run: updateAgent },
  setAgentState: { access: 'change', run: setAgentState },
  markFirstLinked: { access: 'upkeep', run: markFirstLinked },
  expireAgents: { access: 'upkeep', run: expireAgents },
  markSeen: { access: 'upkeep', run: markSeen },
  insertAgentEvent: { access: 'upkeep', run: insertAgentEvent },
  agentEvents: { access: 'read', run: agentEvents },
};
