/** Which refusals a control route can give beside those that its contract names. */
import type { Contract } from './contract.ts';
import type { ErrorName } from './errors.ts';
import type { Route } from './routes.ts';

const invalidInput: readonly ErrorName[] = [
  'invalid_type',
  'invalid_value',
  'missing_required_parameter',
  'unsupported_parameter',
];

/** Every control route: what the listener, the guards and a database that is away say. */
const always: readonly ErrorName[] = [
  'malformed_request',
  'headers_too_large',
  ...invalidInput,
  'queue_full',
  'store_unavailable',
  'internal',
];

const withBody: readonly ErrorName[] = [
  'not_json',
  'unsupported_value',
  'cross_site',
  'request_too_large',
  'request_timeout',
];

const withKey: readonly ErrorName[] = [
  'missing_key',
  'invalid_api_key',
  'ip_not_authorized',
  'insufficient_permissions',
];

export function refusalsOf(route: Route, contract: Contract): readonly ErrorName[] {
  const { access, method, path } = route;
  const names = new Set<ErrorName>([...always, ...contract.refusals]);
  const add = (more: readonly ErrorName[]): void => more.forEach((name) => names.add(name));
  if (method !== 'GET') add(withBody);
  if (method !== 'GET' || access.by !== 'anyone') add(['rate_limited_requests']);
  if (access.by === 'session' || access.by === 'session_or_key') {
    add(['not_signed_in', 'password_change_required']);
  }
  if (access.by === 'api_key' || access.by === 'session_or_key') add(withKey);
  if (path.includes('{project}')) add(['project_not_found']);
  if (contract.creates === true) add(['conflict']);
  if (contract.versioned === true && method !== 'GET') add(['conflict']);
  return [...names];
}
