/** Accounts and invitations to the platform, for operators. */
import { admin } from './access.ts';
import { platform } from './prefixes.ts';
import type { RouteRow, Summaries } from './routeRow.ts';

const users = `${platform}/users` as const;
const invitations = `${platform}/invitations` as const;

export const userRows = [
  ['GET', users, 'control', admin, 'users'],
  ['POST', users, 'control', admin, 'createUser'],
  ['GET', `${users}/{user}`, 'control', admin, 'user'],
  ['PATCH', `${users}/{user}`, 'control', admin, 'updateUser'],
  ['POST', `${users}/{user}/reset-password`, 'control', admin, 'resetPassword'],
  ['DELETE', `${users}/{user}/second-factor`, 'control', admin, 'dropSecondFactor'],
  ['GET', invitations, 'control', admin, 'platformInvitations'],
  ['POST', invitations, 'control', admin, 'createPlatformInvitation'],
  ['DELETE', `${invitations}/{invitation}`, 'control', admin, 'revokePlatformInvitation'],
] as const satisfies readonly RouteRow[];

export const userSummaries: Summaries<typeof userRows> = {
  users: 'Accounts, oldest first',
  createUser: 'Make an account with a one-time password, which is shown once',
  user: 'One account',
  updateUser: 'Change an account’s role, disable or enable it',
  resetPassword: 'Give an account a one-time password, which is shown once; its sessions end',
  dropSecondFactor: 'Switch an account’s second factor off, for somebody who lost it',
  platformInvitations: 'Invitations to the platform, newest first',
  createPlatformInvitation: 'Invite somebody to make an account; the token is shown once',
  revokePlatformInvitation: 'Revoke an invitation to the platform',
};
