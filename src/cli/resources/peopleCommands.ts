/** `xim members`, `xim invitations`, `xim users`: people of a project, and of the platform. */
import type { InvitationAnswer, MemberAnswer } from '../../api/control/members.ts';
import type { UserAnswer } from '../../api/control/users.ts';
import type { Command } from '../command.ts';
import { ago, fieldTable, onOff, until } from '../textTable.ts';
import type { BodyFields } from './bodyFields.ts';
import type { Reference } from './reference.ts';
import { changing, listing, showing, type Field, type Operand } from './resourceCommand.ts';

const projectRole: BodyFields = {
  role: {
    row: {
      type: 'choice',
      flag: 'role',
      choices: ['owner', 'member'],
      default: undefined,
      help: 'An owner changes everything of the project; a member looks, and calls.',
    },
    member: 'role',
    required: true,
  },
};

const memberRef: Reference<MemberAnswer> = {
  what: 'member',
  list: '/members',
  topic: 'members',
  paged: true,
  idOf: (member) => member.user_id,
  nameOf: (member) => member.email,
};
const memberOperand = { name: 'EMAIL', reference: memberRef as Reference<never> } as const;

const sayMember = (member: MemberAnswer): string => `${member.email} is ${member.role} now.\n`;

const members: readonly Command[] = [
  listing<MemberAnswer>({
    words: ['members', 'list'],
    summary: 'List who belongs to the project',
    scope: 'project',
    path: '/members',
    head: ['EMAIL', 'ROLE', 'ACCOUNT', 'SINCE', 'ID'],
    row: (member, nowMs) => [
      member.email,
      member.role,
      member.disabled ? 'disabled' : 'enabled',
      ago(member.created_at, nowMs),
      member.user_id,
    ],
    empty: 'No members. Invite somebody with: xim invitations create EMAIL --role member',
  }),
  changing<MemberAnswer>({
    words: ['members', 'add'],
    summary: 'Make somebody who has an account a member; for operators',
    details: 'Owners invite instead: xim invitations create.',
    scope: 'project',
    method: 'POST',
    creates: true,
    path: '/members',
    operands: [{ name: 'EMAIL', member: 'email' }],
    fields: projectRole,
    say: sayMember,
  }),
  changing<MemberAnswer>({
    words: ['members', 'set'],
    summary: 'Change what a member may',
    scope: 'project',
    method: 'PUT',
    path: '/members/{}',
    operands: [memberOperand],
    fields: projectRole,
    say: sayMember,
  }),
  changing<{ user_id: string }>({
    words: ['members', 'remove'],
    summary: 'Let a member go, or leave',
    details: 'The keys that they made stay: they are the project’s.',
    scope: 'project',
    method: 'DELETE',
    path: '/members/{}',
    operands: [memberOperand],
    say: (_, { operands: [email] }) => `${email} is no member any more.\n`,
  }),
];

type Created = InvitationAnswer & { token: string; url: string };

const invitationRef: Reference<InvitationAnswer> = {
  what: 'invitation',
  list: '/invitations',
  topic: 'invitations',
  paged: true,
  idOf: (invitation) => invitation.id,
  nameOf: (invitation) => invitation.id,
};

const sayUrl = ({ url }: Created): string => `${url}\n`;
const noteUrl = ({ email, expires_at }: Created, nowMs: number): string =>
  `Give this address to ${email}; it ends ${until(expires_at, nowMs)} and is shown only now.\n`;

const invitations: readonly Command[] = [
  listing<InvitationAnswer>({
    words: ['invitations', 'list'],
    summary: 'List invitations, newest first',
    scope: 'either',
    path: '/invitations',
    head: ['ID', 'EMAIL', 'AS', 'STATE', 'ENDS'],
    row: (one, nowMs) => [
      one.id,
      one.email,
      one.role ?? one.user_role,
      one.state,
      until(one.expires_at, nowMs),
    ],
    empty: 'No invitations. Invite somebody with: xim invitations create EMAIL --role member',
  }),
  changing<Created>({
    words: ['invitations', 'create'],
    summary: 'Invite somebody to the project; prints the address for them',
    scope: 'project',
    method: 'POST',
    creates: true,
    path: '/invitations',
    operands: [{ name: 'EMAIL', member: 'email' }],
    fields: projectRole,
    say: sayUrl,
    note: noteUrl,
  }),
  changing<{ id: string }>({
    words: ['invitations', 'revoke'],
    summary: 'Revoke an invitation',
    scope: 'either',
    method: 'DELETE',
    path: '/invitations/{}',
    operands: [{ name: 'ID', reference: invitationRef as Reference<never> }],
    say: (_, { operands: [id] }) => `${id} is revoked.\n`,
  }),
];

const userRef: Reference<UserAnswer> = {
  what: 'account',
  list: '/users',
  topic: 'users',
  paged: true,
  idOf: (user) => user.id,
  nameOf: (user) => user.email,
};
const userOperand: Operand = { name: 'EMAIL', reference: userRef as Reference<never> };

const userRole: BodyFields = {
  role: {
    row: {
      type: 'choice',
      flag: 'role',
      choices: ['admin', 'user'],
      default: undefined,
      help: 'An admin is an operator of the platform, and owns every project.',
    },
    member: 'role',
  },
};

const invitedRole: BodyFields = {
  role: { ...userRole['role'], member: 'user_role' } as BodyFields[string],
};

function showUser(user: UserAnswer, nowMs: number): Field[] {
  return [
    ['email', user.email],
    ['id', user.id],
    ['role', user.role],
    ['state', stateOf(user, nowMs)],
    ['password', passwordOf(user)],
    ['second factor', onOff(user.second_factor)],
    ['last sign-in', ago(user.last_sign_in_at, nowMs)],
    ['created', ago(user.created_at, nowMs)],
    ['version', String(user.version)],
  ];
}

function stateOf({ disabled_at }: UserAnswer, nowMs: number): string {
  return disabled_at === null ? 'enabled' : `disabled ${ago(disabled_at, nowMs)}`;
}

function passwordOf(user: UserAnswer): string {
  if (!user.has_password) return 'none: signs in elsewhere';
  return user.must_change_password ? 'for once: must be changed' : 'chosen';
}

type OneTime = { one_time_password: string };
const sayPassword = ({ one_time_password }: OneTime): string => `${one_time_password}\n`;
const notePassword = (): string =>
  'This password is good for one sign-in, which asks for another. It is shown only now.\n';

const users: readonly Command[] = [
  listing<UserAnswer>({
    words: ['users', 'list'],
    summary: 'List accounts, oldest first',
    scope: 'platform',
    path: '/users',
    head: ['EMAIL', 'ROLE', 'STATE', 'SECOND FACTOR', 'LAST SIGN-IN', 'ID'],
    row: (user, nowMs) => [
      user.email,
      user.role,
      stateOf(user, nowMs),
      onOff(user.second_factor),
      ago(user.last_sign_in_at, nowMs),
      user.id,
    ],
    empty: 'No accounts. Make one with: xim users create EMAIL',
  }),
  showing<UserAnswer>({
    words: ['users', 'show'],
    summary: 'Show an account',
    scope: 'platform',
    path: '/users/{}',
    operands: [userOperand],
    show: showUser,
  }),
  changing<UserAnswer & OneTime>({
    words: ['users', 'create'],
    summary: 'Make an account; prints its one-time password',
    scope: 'platform',
    method: 'POST',
    creates: true,
    path: '/users',
    operands: [{ name: 'EMAIL', member: 'email' }],
    fields: userRole,
    say: sayPassword,
    note: notePassword,
  }),
  changing<Created>({
    words: ['users', 'invite'],
    summary: 'Invite somebody to make an account; prints the address for them',
    scope: 'platform',
    method: 'POST',
    creates: true,
    path: '/invitations',
    operands: [{ name: 'EMAIL', member: 'email' }],
    fields: invitedRole,
    say: sayUrl,
    note: noteUrl,
  }),
  changing<UserAnswer>({
    words: ['users', 'set'],
    summary: 'Change an account’s role, disable or enable it',
    scope: 'platform',
    method: 'PATCH',
    versioned: true,
    path: '/users/{}',
    operands: [userOperand],
    fields: {
      ...userRole,
      disabled: {
        row: {
          type: 'switch',
          flag: 'disabled',
          default: undefined,
          help: 'Keep the account out, its sessions too; --no-disabled lets it in again.',
        },
        member: 'disabled',
      },
    },
    say: (user, { nowMs }) => fieldTable(showUser(user, nowMs)),
  }),
  changing<OneTime>({
    words: ['users', 'reset-password'],
    summary: 'Give an account a one-time password, and end its sessions',
    scope: 'platform',
    method: 'POST',
    creates: true,
    path: '/users/{}/reset-password',
    operands: [userOperand],
    say: sayPassword,
    note: notePassword,
  }),
  changing<{ id: string }>({
    words: ['users', 'drop-second-factor'],
    summary: 'Switch an account’s second factor off, for somebody who lost it',
    scope: 'platform',
    method: 'DELETE',
    path: '/users/{}/second-factor',
    operands: [userOperand],
    say: (_, { operands: [email] }) => `The second factor of ${email} is off.\n`,
  }),
];

export const peopleCommands: readonly Command[] = [...members, ...invitations, ...users];
