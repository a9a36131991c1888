/** Members of a project, and invitations to a project or to the platform. */
import type { InvitationAnswer, MemberAnswer, memberContracts } from '../../api/control/members.ts';
import type { Control } from '../../control/control.ts';
import type { InvitationView } from '../../control/projects/invitations.ts';
import type { MemberView } from '../../control/projects/members.ts';
import { pageAnswer } from '../control/controlCall.ts';
import { isoTime, isoTimeOrNull } from '../control/isoTime.ts';
import { ofPlatform, ofProject, type OwnerOf } from '../control/ownerOf.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

type Handlers = TopicHandlers<typeof memberContracts>;

interface Options {
  control: Pick<
    Control,
    | 'members'
    | 'addMember'
    | 'setMemberRole'
    | 'removeMember'
    | 'invitations'
    | 'createInvitation'
    | 'revokeInvitation'
  >;
  /** Where browsers reach the server, without a slash at the end. */
  publicBase: () => string;
}

export function createMemberRoutes(options: Options): Handlers {
  const { control } = options;
  const platform = invitationRoutes(options, ofPlatform);
  return {
    async members(call) {
      const { caller, page } = call;
      const outcome = await control.members({ caller, project: call.part('project'), page });
      return outcome.ok ? call.json(pageAnswer(outcome.page, memberAnswer)) : call.refuse(outcome);
    },
    async addMember(call) {
      const { caller, body } = call;
      const outcome = await control.addMember({ ...body, caller, project: call.part('project') });
      return outcome.ok ? call.json(memberAnswer(outcome.member)) : call.refuse(outcome);
    },
    async setMemberRole(call) {
      const { caller, body } = call;
      const [project, userId] = [call.part('project'), call.part('member')];
      const outcome = await control.setMemberRole({ ...body, caller, project, userId });
      return outcome.ok ? call.json(memberAnswer(outcome.member)) : call.refuse(outcome);
    },
    async removeMember(call) {
      const { caller } = call;
      const [project, userId] = [call.part('project'), call.part('member')];
      const outcome = await control.removeMember({ caller, project, userId });
      return outcome.ok ? call.json({ user_id: userId, removed: true }) : call.refuse(outcome);
    },
    ...invitationRoutes(options, ofProject),
    async createInvitation(call) {
      const { email, role } = call.body;
      const wish = { caller: call.caller, owner: ofProject(call), email };
      const outcome = await control.createInvitation({ ...wish, role, userRole: 'user' });
      return outcome.ok ? call.json(createdAnswer(options, outcome)) : call.refuse(outcome);
    },
    platformInvitations: platform.invitations,
    revokePlatformInvitation: platform.revokeInvitation,
    async createPlatformInvitation(call) {
      const { email, user_role: userRole = 'user' } = call.body;
      const wish = { caller: call.caller, owner: ofPlatform(call), email };
      const outcome = await control.createInvitation({ ...wish, role: 'member', userRole });
      return outcome.ok ? call.json(createdAnswer(options, outcome)) : call.refuse(outcome);
    },
  };
}

/** For the owner that the address names. */
function invitationRoutes(
  { control }: Options,
  ownerOf: OwnerOf,
): Pick<Handlers, 'invitations' | 'revokeInvitation'> {
  return {
    async invitations(call) {
      const { caller, page } = call;
      const outcome = await control.invitations({ caller, owner: ownerOf(call), page });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json(pageAnswer(outcome.page, invitationAnswer));
    },
    async revokeInvitation(call) {
      const { caller } = call;
      const invitationId = call.part('invitation');
      const wish = { caller, owner: ownerOf(call), invitationId };
      const outcome = await control.revokeInvitation(wish);
      return outcome.ok ? call.json({ id: invitationId, revoked: true }) : call.refuse(outcome);
    },
  };
}

/** The token stands behind the address's `#`: no server on the way, nor its log, sees it. */
function createdAnswer(
  { publicBase }: Options,
  { invitation, token }: { invitation: InvitationView; token: string },
): InvitationAnswer & { token: string; url: string } {
  const url = `${publicBase()}/ui/#invitation=${token}`;
  return { ...invitationAnswer(invitation), token, url };
}

function memberAnswer(member: MemberView): MemberAnswer {
  return {
    user_id: member.userId,
    email: member.email,
    role: member.role,
    disabled: member.disabled,
    created_at: isoTime(member.createdAtMs),
  };
}

function invitationAnswer(invitation: InvitationView): InvitationAnswer {
  return {
    id: invitation.id,
    email: invitation.email,
    role: invitation.projectRole,
    user_role: invitation.userRole,
    state: invitation.state,
    created_by: invitation.createdBy,
    created_at: isoTime(invitation.createdAtMs),
    expires_at: isoTime(invitation.expiresAtMs),
    accepted_at: isoTimeOrNull(invitation.acceptedAtMs),
    accepted_by: invitation.acceptedBy,
  };
}
