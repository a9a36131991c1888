/** Agents of projects and of the platform. */
import { admin, member, owner } from './access.ts';
import { platform, project } from './prefixes.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

export const agentRows = [
  ['GET', `${project}/agents`, 'control', member, 'agents'],
  ['GET', `${project}/agents/{agent}`, 'control', member, 'agent'],
  ['PATCH', `${project}/agents/{agent}`, 'control', owner, 'updateAgent'],
  ['GET', `${project}/agents/{agent}/events`, 'control', member, 'agentEvents'],
  ['GET', `${project}/agents/{agent}/health`, 'control', member, 'agentHealth'],
  ['GET', `${project}/agents/{agent}/logs`, 'control', member, 'agentLogs'],
  ['GET', `${project}/logs`, 'control', member, 'projectLogs'],
  ['POST', `${project}/agents/{agent}/suspend`, 'control', owner, 'suspendAgent'],
  ['POST', `${project}/agents/{agent}/resume`, 'control', owner, 'resumeAgent'],
  ['DELETE', `${project}/agents/{agent}`, 'control', owner, 'removeAgent'],
  [
    'POST',
    `${project}/agents/{agent}/revoke-credentials`,
    'control',
    owner,
    'revokeAgentCredentials',
  ],
  ['GET', `${platform}/agents`, 'control', admin, 'platformAgents'],
  ['GET', `${platform}/agents/{agent}`, 'control', admin, 'platformAgent'],
  ['PATCH', `${platform}/agents/{agent}`, 'control', admin, 'updatePlatformAgent'],
  ['GET', `${platform}/agents/{agent}/events`, 'control', admin, 'platformAgentEvents'],
  ['GET', `${platform}/agents/{agent}/health`, 'control', admin, 'platformAgentHealth'],
  ['GET', `${platform}/agents/{agent}/logs`, 'control', admin, 'platformAgentLogs'],
  ['POST', `${platform}/agents/{agent}/suspend`, 'control', admin, 'suspendPlatformAgent'],
  ['POST', `${platform}/agents/{agent}/resume`, 'control', admin, 'resumePlatformAgent'],
  ['DELETE', `${platform}/agents/{agent}`, 'control', admin, 'removePlatformAgent'],
  [
    'POST',
    `${platform}/agents/{agent}/revoke-credentials`,
    'control',
    admin,
    'revokePlatformAgentCredentials',
  ],
] as const satisfies readonly RouteRow[];

export const agentSummaries: Summaries<typeof agentRows> = {
  agents: 'Agents of a project',
  agent: 'One agent of a project',
  updateAgent: 'Change an agent of a project',
  agentEvents: 'What happened to an agent of a project',
  agentHealth: 'How an agent of a project is, and was over the last day',
  agentLogs: 'What an agent of a project and its engine have logged lately',
  projectLogs: 'What shared agents have logged of requests of a project',
  suspendAgent: 'Stop an agent of a project until it is resumed',
  resumeAgent: 'Let an agent of a project work again',
  removeAgent: 'Remove an agent of a project for good',
  revokeAgentCredentials: 'Void the credentials of an agent of a project, for good',
  platformAgents: 'Shared agents',
  platformAgent: 'One shared agent',
  updatePlatformAgent: 'Change a shared agent',
  platformAgentEvents: 'What happened to a shared agent',
  platformAgentHealth: 'How a shared agent is, and was over the last day',
  platformAgentLogs: 'What a shared agent and its engine have logged lately',
  suspendPlatformAgent: 'Stop a shared agent until it is resumed',
  resumePlatformAgent: 'Let a shared agent work again',
  removePlatformAgent: 'Remove a shared agent for good',
  revokePlatformAgentCredentials: 'Void the credentials of a shared agent, for good',
};
