/** Members of a project, and invitations to a project or to the platform. */
import { z } from 'zod';
import { contract, isoTimeSchema, pagedList } from '../contract.ts';
import { projectRoleSchema } from './projects.ts';
import { emailSchema, userRoleSchema } from './users.ts';

const memberSchema = z
  .strictObject({
    user_id: z.string(),
    email: z.string(),
    role: projectRoleSchema,
    /** Whether the account is disabled. */
    disabled: z.boolean(),
    created_at: isoTimeSchema,
  })
  .meta({ id: 'Member' });
export type MemberAnswer = z.infer<typeof memberSchema>;

const addMemberSchema = z
  .strictObject({ email: emailSchema, role: projectRoleSchema })
  .meta({ id: 'AddMember' });
export type AddMemberRequest = z.infer<typeof addMemberSchema>;

const invitationSchema = z
  .strictObject({
    id: z.string(),
    email: z.string(),
    /** In the project; null: to the platform alone. */
    role: projectRoleSchema.nullable(),
    /** What a new account becomes. */
    user_role: userRoleSchema,
    state: z.enum(['open', 'used', 'revoked', 'expired']),
    created_by: z.string(),
    created_at: isoTimeSchema,
    expires_at: isoTimeSchema,
    accepted_at: isoTimeSchema.nullable(),
    accepted_by: z.string().nullable(),
  })
  .meta({ id: 'Invitation' });
export type InvitationAnswer = z.infer<typeof invitationSchema>;

/** The only time that token and address are shown. */
const createdInvitationSchema = z
  .strictObject({
    ...invitationSchema.shape,
    token: z.string(),
    /** For the person to open. */
    url: z.string(),
  })
  .meta({ id: 'CreatedInvitation' });

const invite = { answer: createdInvitationSchema, status: 201, creates: true } as const;
const invitations = pagedList({
  item: invitationSchema,
  place: ['number', 'string'],
  refusals: ['insufficient_permissions'],
});
const revokeInvitation = contract({
  answer: z.strictObject({ id: z.string(), revoked: z.literal(true) }),
  status: 200,
  refusals: ['insufficient_permissions', 'not_found', 'conflict'],
});

export const memberContracts = {
  members: pagedList({ item: memberSchema, place: ['number', 'string'], refusals: [] }),
  addMember: contract({
    body: addMemberSchema,
    answer: memberSchema,
    status: 201,
    refusals: ['insufficient_permissions', 'not_found', 'conflict'],
    creates: true,
  }),
  setMemberRole: contract({
    body: z.strictObject({ role: projectRoleSchema }).meta({ id: 'SetMemberRole' }),
    answer: memberSchema,
    status: 200,
    refusals: ['insufficient_permissions', 'not_found', 'conflict'],
  }),
  removeMember: contract({
    answer: z.strictObject({ user_id: z.string(), removed: z.literal(true) }),
    status: 200,
    refusals: ['insufficient_permissions', 'not_found', 'conflict'],
  }),
  invitations,
  createInvitation: contract({
    ...invite,
    body: z
      .strictObject({ email: emailSchema, role: projectRoleSchema })
      .meta({ id: 'CreateInvitation' }),
    refusals: ['insufficient_permissions', 'conflict'],
  }),
  revokeInvitation,
  platformInvitations: invitations,
  createPlatformInvitation: contract({
    ...invite,
    body: z
      .strictObject({ email: emailSchema, user_role: userRoleSchema.optional() })
      .meta({ id: 'CreatePlatformInvitation' }),
    refusals: ['insufficient_permissions', 'conflict'],
  }),
  revokePlatformInvitation: revokeInvitation,
};
