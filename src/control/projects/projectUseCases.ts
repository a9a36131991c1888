/** Projects, their members, and invitations to them. */
import { createProject, deleteProject, updateProject } from './changeProject.ts';
import { createInvitation, listInvitations, revokeInvitation } from './invitations.ts';
import { addMember, listMembers, removeMember, setMemberRole } from './members.ts';
import { listProjects, projectOf } from './projects.ts';

export const projectUseCases = {
  projects: listProjects,
  project: projectOf,
  createProject,
  updateProject,
  deleteProject,
  members: listMembers,
  addMember,
  setMemberRole,
  removeMember,
  invitations: listInvitations,
  createInvitation,
  revokeInvitation,
};
