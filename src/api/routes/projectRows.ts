/** Projects, their people, and what is seen of them live. */
import { member, owner, session } from './access.ts';
import { project } from './prefixes.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

const members = `${project}/members` as const;
const invitations = `${project}/invitations` as const;

export const projectRows = [
  ['GET', '/api/v1/projects', 'control', member, 'projects'],
  ['POST', '/api/v1/projects', 'control', session, 'createProject'],
  ['GET', project, 'control', member, 'project'],
  ['PATCH', project, 'control', owner, 'updateProject'],
  ['DELETE', project, 'control', owner, 'deleteProject'],
  ['GET', members, 'control', session, 'members'],
  ['POST', members, 'control', session, 'addMember'],
  ['PUT', `${members}/{member}`, 'control', session, 'setMemberRole'],
  ['DELETE', `${members}/{member}`, 'control', session, 'removeMember'],
  ['GET', invitations, 'control', session, 'invitations'],
  ['POST', invitations, 'control', session, 'createInvitation'],
  ['DELETE', `${invitations}/{invitation}`, 'control', session, 'revokeInvitation'],
  ['GET', `${project}/live`, 'control', member, 'live'],
] as const satisfies readonly RouteRow[];

export const projectSummaries: Summaries<typeof projectRows> = {
  projects: 'Projects of the caller, oldest first',
  createProject: 'Make a project, which the caller then owns',
  project: 'One project',
  updateProject: 'Change a project',
  deleteProject: 'Delete a project that has no endpoints and no agents any more',
  members: 'Members of a project, oldest first',
  addMember: 'Make somebody who has an account a member; for operators',
  setMemberRole: 'Change a member’s role',
  removeMember: 'Let a member go, or leave',
  invitations: 'Invitations to a project, newest first',
  createInvitation: 'Invite somebody to a project; the token is shown once',
  revokeInvitation: 'Revoke an invitation to a project',
  live: 'Snapshots of a project as server-sent events, at most one a second',
};
