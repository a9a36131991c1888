/** What use-cases about people, projects and keys say no with, and the rows of the error table. */
import type { ErrorName } from '../../api/errors.ts';

/** Refusals that say nothing but why. */
export const peopleRefusals = {
  account_disabled: ['account_disabled', 'This account is disabled. Ask an operator.'],
  second_factor_required: [
    'second_factor_required',
    "Send 'code' too: six digits of the authenticator app, or a recovery code.",
  ],
  second_factor_wrong: [
    'second_factor_invalid',
    'The code is wrong or was used already. Wait for the next one.',
  ],
  already_on: ['conflict', 'The second factor is on. Turn it off first to begin anew.'],
  not_begun: ['conflict', 'No second factor was begun, or another one since. Begin again.'],
  second_factor_off: ['conflict', 'The second factor is off.'],
  no_password: [
    'conflict',
    'This account has no password: it signs in with the identity provider. An operator can give ' +
      'it one by resetting the password.',
  ],
  own_account: [
    'insufficient_permissions',
    'This is your own account: change its password or second factor as its owner.',
  ],
  last_admin: ['conflict', 'One admin must stay. Make somebody else an admin first.'],
  email_taken: ['conflict', 'There is an account with this e-mail address already.'],
  slug_taken: ['conflict', 'A project with this slug exists. Choose another slug.'],
  another_shares: [
    'conflict',
    'Shared agents run without a sandbox (isolation: none), and another project has shared ' +
      'access to them. Send "shared_access": false (xim: --no-shared-access), or start the ' +
      'server with --allow-unsandboxed (XIM_ALLOW_UNSANDBOXED=1) if its projects trust each other.',
  ],
  shared_access_by_operator: [
    'insufficient_permissions',
    'Only an operator can give a project shared access.',
  ],
  already_member: ['conflict', 'This account is a member already. Change its role instead.'],
  last_owner: ['conflict', 'One owner must stay. Make somebody else an owner first.'],
  invitation_invalid: [
    'not_found',
    'This invitation is unknown, used, revoked or expired. Ask for a new one.',
  ],
  invitation_used: ['conflict', 'The invitation was accepted. Remove the member instead.'],
  another_address: [
    'insufficient_permissions',
    'This invitation is for another e-mail address than that of the account that is signed in.',
  ],
  account_exists: [
    'conflict',
    'There is an account with the e-mail address of this invitation. Sign in with it.',
  ],
  endpoint_not_found: ['endpoint_not_found', "'endpoint' names no endpoint of this project."],
  api_key_revoked: ['conflict', 'The key was revoked, which is final. Create another one.'],
  api_key_expired: ['conflict', "The key has expired. Give it another 'expires_at' first."],
} as const satisfies Readonly<Record<string, readonly [ErrorName, string]>>;

/** Bounds, by what there is too much of; the sentence stands behind the number. */
export const peopleBounds = {
  too_many_projects: 'projects may be owned by one person. Delete one first.',
  too_many_invitations: 'invitations may be open at once. Revoke one first.',
  too_many_api_keys: 'keys of a project may be in use at once. Revoke one first.',
} as const;
