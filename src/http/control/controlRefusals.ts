/** Every reason for which a use-case says no, and the row of the error table that it becomes. */
import type { Denied } from '../../control/principal.ts';
import type { ErrorName } from '../../api/errors.ts';
import { refuse, type ControlContext } from './controlContext.ts';
import { peopleBounds, peopleRefusals } from '../people/peopleRefusals.ts';

/** What use-cases with a caller return when they refuse; some say more. */
export type ControlRefusal =
  | { reason: Denied['reason'] }
  | { reason: 'not_found' | 'agent_dead' | 'invalid_credentials' }
  | { reason: keyof typeof peopleRefusals }
  | { reason: keyof typeof peopleBounds; limit: number }
  | { reason: 'project_in_use'; endpoints: number; agents: number }
  | { reason: 'version_conflict' }
  | { reason: 'another_request' | 'still_running' | 'answer_lost' }
  | { reason: 'invalid_value'; param: string; message: string }
  | { reason: 'conflict'; message: string }
  | { reason: 'model_not_found' }
  | { reason: 'tier_quota_exceeded'; message: string; limit: RefusalLimit }
  | { reason: 'too_many_join_keys'; limit: number }
  | { reason: 'too_many_attempts' | 'busy'; retryAfterMs: number };

/** The bound that was met, as the envelope tells it. */
export interface RefusalLimit {
  name: string;
  value: number;
  used: number;
}

type Plain = Exclude<
  ControlRefusal['reason'],
  | 'invalid_value'
  | 'conflict'
  | 'tier_quota_exceeded'
  | 'too_many_join_keys'
  | 'project_in_use'
  | keyof typeof peopleBounds
  | 'too_many_attempts'
  | 'busy'
>;

const plain: Readonly<Record<Plain, readonly [ErrorName, string]>> = {
  not_signed_in: ['not_signed_in', 'Sign in first, or send a key of scope management.'],
  password_change_required: [
    'password_change_required',
    'You signed in with a one-time password. Change it first.',
  ],
  ...peopleRefusals,
  insufficient_permissions: ['insufficient_permissions', 'Your role does not allow this.'],
  project_not_found: [
    'project_not_found',
    'The project does not exist or you have no access to it.',
  ],
  model_not_found: [
    'model_not_found',
    'model_id names no model of this project or of the catalogue.',
  ],
  not_found: ['not_found', 'It does not exist or you have no access to it.'],
  agent_dead: ['conflict', 'The agent was removed; that is final. It must enrol again.'],
  invalid_credentials: ['invalid_credentials', 'E-mail address or password is wrong.'],
  version_conflict: [
    'conflict',
    'Somebody has changed it since you looked. Read it again, then send its new ETag in if-match.',
  ],
  another_request: [
    'conflict',
    'This idempotency key was used for another request. Take a new key for each thing to do.',
  ],
  still_running: [
    'conflict',
    'A request under this idempotency key is still running. Repeat it in a moment.',
  ],
  answer_lost: [
    'conflict',
    'The request under this idempotency key was carried out, but the server stopped before it ' +
      'could answer. Look at the list, or the audit log, for what it made.',
  ],
};

export function refuseFor(context: ControlContext, refusal: ControlRefusal): Response {
  switch (refusal.reason) {
    case 'invalid_value':
      return refuse(context, 'invalid_value', refusal.message, { param: refusal.param });
    case 'conflict':
      return refuse(context, 'conflict', refusal.message);
    case 'tier_quota_exceeded': {
      const extra = { limit: refusal.limit };
      return refuse(context, 'tier_quota_exceeded', refusal.message, { extra });
    }
    case 'too_many_join_keys': {
      const message = `${refusal.limit} join keys may be open at once. Revoke one first.`;
      return refuse(context, 'conflict', message);
    }
    case 'too_many_projects':
    case 'too_many_invitations':
    case 'too_many_api_keys': {
      const message = `${refusal.limit} ${peopleBounds[refusal.reason]}`;
      return refuse(context, 'conflict', message);
    }
    case 'project_in_use': {
      const { endpoints, agents } = refusal;
      const message =
        `The project has ${endpoints} endpoints and ${agents} agents that are not removed. ` +
        'Delete and remove these first.';
      return refuse(context, 'conflict', message);
    }
    case 'too_many_attempts': {
      const message = 'Too many failed attempts. Try again later.';
      const { retryAfterMs } = refusal;
      return refuse(context, 'rate_limited_requests', message, { retryAfterMs });
    }
    case 'busy': {
      const { retryAfterMs } = refusal;
      const message = 'The server is busy. Try again in a moment.';
      return refuse(context, 'store_unavailable', message, { retryAfterMs });
    }
    default: {
      const [name, message] = plain[refusal.reason];
      return refuse(context, name, message);
    }
  }
}
