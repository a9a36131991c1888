/**
 * The error table: every refusal that a client can see, with its status, type and code. Nothing
 * else in the product writes a status or a code of its own; nothing matches on message text.
 */

export type ErrorType =
  | 'invalid_request_error'
  | 'requests'
  | 'tokens'
  | 'insufficient_quota'
  | 'server_error';

export interface ErrorRow {
  status: number;
  type: ErrorType;
  code: string | null;
  /** Whether client libraries may try again; false sends `x-should-retry: false`. */
  retry?: false;
}

/** By situation. The key is the product's internal name of the refusal. */
export const errorTable = {
  missing_key: { status: 401, type: 'invalid_request_error', code: null },
  invalid_api_key: { status: 401, type: 'invalid_request_error', code: 'invalid_api_key' },
  ip_not_authorized: { status: 401, type: 'invalid_request_error', code: 'ip_not_authorized' },
  not_signed_in: { status: 401, type: 'invalid_request_error', code: 'not_signed_in' },
  invalid_credentials: { status: 401, type: 'invalid_request_error', code: 'invalid_credentials' },
  second_factor_required: {
    status: 401,
    type: 'invalid_request_error',
    code: 'second_factor_required',
  },
  second_factor_invalid: {
    status: 401,
    type: 'invalid_request_error',
    code: 'second_factor_invalid',
  },
  account_disabled: { status: 403, type: 'invalid_request_error', code: 'account_disabled' },
  password_change_required: {
    status: 403,
    type: 'invalid_request_error',
    code: 'password_change_required',
  },
  insufficient_permissions: {
    status: 403,
    type: 'invalid_request_error',
    code: 'insufficient_permissions',
  },
  cross_site: { status: 403, type: 'invalid_request_error', code: 'cross_site_request' },
  model_not_found: { status: 404, type: 'invalid_request_error', code: 'model_not_found' },
  endpoint_not_found: { status: 404, type: 'invalid_request_error', code: 'endpoint_not_found' },
  project_not_found: { status: 404, type: 'invalid_request_error', code: 'project_not_found' },
  not_found: { status: 404, type: 'invalid_request_error', code: 'not_found' },
  unknown_url: { status: 404, type: 'invalid_request_error', code: 'unknown_url' },
  method_not_supported: {
    status: 405,
    type: 'invalid_request_error',
    code: 'method_not_supported',
  },
  malformed_request: { status: 400, type: 'invalid_request_error', code: 'malformed_request' },
  not_json: { status: 400, type: 'invalid_request_error', code: null },
  invalid_type: { status: 400, type: 'invalid_request_error', code: 'invalid_type' },
  invalid_value: { status: 400, type: 'invalid_request_error', code: 'invalid_value' },
  missing_required_parameter: {
    status: 400,
    type: 'invalid_request_error',
    code: 'missing_required_parameter',
  },
  unsupported_value: { status: 400, type: 'invalid_request_error', code: 'unsupported_value' },
  unsupported_parameter: {
    status: 400,
    type: 'invalid_request_error',
    code: 'unsupported_parameter',
  },
  context_length_exceeded: {
    status: 400,
    type: 'invalid_request_error',
    code: 'context_length_exceeded',
  },
  request_too_large: { status: 413, type: 'invalid_request_error', code: 'request_too_large' },
  unsupported_encoding: {
    status: 415,
    type: 'invalid_request_error',
    code: 'unsupported_encoding',
  },
  request_timeout: { status: 408, type: 'invalid_request_error', code: 'request_timeout' },
  upgrade_required: { status: 426, type: 'invalid_request_error', code: 'upgrade_required' },
  headers_too_large: { status: 431, type: 'invalid_request_error', code: 'headers_too_large' },
  rate_limited_requests: { status: 429, type: 'requests', code: 'rate_limit_exceeded' },
  rate_limited_tokens: { status: 429, type: 'tokens', code: 'rate_limit_exceeded' },
  concurrency_exceeded: { status: 429, type: 'requests', code: 'concurrency_exceeded' },
  queue_full: { status: 429, type: 'requests', code: 'queue_full' },
  insufficient_quota: {
    status: 429,
    type: 'insufficient_quota',
    code: 'insufficient_quota',
    retry: false,
  },
  tier_quota_exceeded: { status: 403, type: 'invalid_request_error', code: 'tier_quota_exceeded' },
  batching_disabled: { status: 403, type: 'invalid_request_error', code: 'batching_disabled' },
  queue_timeout: { status: 503, type: 'server_error', code: 'queue_timeout' },
  no_agent_available: { status: 503, type: 'server_error', code: 'no_agent_available' },
  journal_unavailable: { status: 503, type: 'server_error', code: 'journal_unavailable' },
  model_loading: { status: 503, type: 'server_error', code: 'model_loading' },
  endpoint_inactive: { status: 503, type: 'server_error', code: 'endpoint_inactive' },
  shutting_down: { status: 503, type: 'server_error', code: 'shutting_down' },
  store_unavailable: { status: 503, type: 'server_error', code: 'store_unavailable' },
  upstream_error: { status: 502, type: 'server_error', code: 'upstream_error' },
  timeout: { status: 504, type: 'server_error', code: 'timeout' },
  conflict: { status: 409, type: 'invalid_request_error', code: 'conflict', retry: false },
  join_key_invalid: { status: 401, type: 'invalid_request_error', code: 'join_key_invalid' },
  join_key_expired: { status: 401, type: 'invalid_request_error', code: 'join_key_expired' },
  join_key_revoked: { status: 401, type: 'invalid_request_error', code: 'join_key_revoked' },
  join_key_used_up: { status: 401, type: 'invalid_request_error', code: 'join_key_used_up' },
  enrollment_rejected: { status: 401, type: 'invalid_request_error', code: 'enrollment_rejected' },
  nonce_invalid: { status: 401, type: 'invalid_request_error', code: 'nonce_invalid' },
  signature_invalid: { status: 401, type: 'invalid_request_error', code: 'signature_invalid' },
  rotation_token_invalid: {
    status: 401,
    type: 'invalid_request_error',
    code: 'rotation_token_invalid',
  },
  agent_suspended: { status: 403, type: 'invalid_request_error', code: 'agent_suspended' },
  agent_dead: { status: 403, type: 'invalid_request_error', code: 'agent_dead' },
  internal: { status: 500, type: 'server_error', code: null },
} as const satisfies Record<string, ErrorRow>;

export type ErrorName = keyof typeof errorTable;

/** The envelope on the wire; all four members always there. */
export interface ErrorEnvelope {
  error: {
    message: string;
    type: string;
    param: string | null;
    code: string | null;
    [extra: string]: unknown;
  };
}

/** Builds the envelope of a refusal. `message` names the knob, its value and the limit. */
export function errorEnvelope(
  name: ErrorName,
  message: string,
  details: { param?: string | null; extra?: Record<string, unknown> } = {},
): ErrorEnvelope {
  const { type, code } = errorTable[name];
  return { error: { message, type, param: details.param ?? null, code, ...details.extra } };
}
