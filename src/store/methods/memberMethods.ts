import type { MemberStore } from '../contract/memberStore.ts';
import {
  acceptInvitation,
  deleteOldInvitations,
  insertInvitation,
  invitationByHash,
  invitationsOf,
  revokeInvitation,
} from '../people/invitations.ts';
import { addMember, membersOf, removeMember, setMemberRole } from '../people/members.ts';
import type { MethodsOf } from './method.ts';

export const memberMethods: MethodsOf<MemberStore> = {
  membersOf: { access: 'read', run: membersOf },
  addMember: { access: 'change', run: addMember },
  setMemberRole: { access: 'change', run: setMemberRole },
  removeMember: { access: 'change', run: removeMember },
  invitationsOf: { access: 'read', run: invitationsOf },
  invitationByHash: { access: 'read', run: invitationByHash },
  deleteOldInvitations: { access: 'upkeep', run: deleteOldInvitations },
  insertInvitation: { access: 'change', run: insertInvitation },
  revokeInvitation: { access: 'change', run: revokeInvitation },
  acceptInvitation: { access: 'change', run: acceptInvitation },
};
