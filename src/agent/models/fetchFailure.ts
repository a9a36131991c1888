/** Every way in which a source of a model fails: the reason is a label, the message a sentence. */

export type FetchFailureReason =
  | 'invalid_source'
  | 'unreachable'
  | 'address_not_allowed'
  | 'not_found'
  | 'forbidden'
  | 'bad_answer'
  | 'stalled'
  | 'digest_mismatch'
  | 'not_a_model'
  | 'disk_full'
  | 'storage_limit'
  | 'io_error'
  | 'tool_missing'
  | 'tool_failed'
  | 'cancelled';

export interface FetchFailure {
  kind: 'failed';
  reason: FetchFailureReason;
  message: string;
}

export function fetchFailure(reason: FetchFailureReason, message: string): FetchFailure {
  return { kind: 'failed', reason, message };
}

/** Reasons that time alone may cure; the others need somebody to act. */
const passing: ReadonlySet<FetchFailureReason> = new Set([
  'unreachable',
  'bad_answer',
  'stalled',
  'disk_full',
  'storage_limit',
  'tool_failed',
]);

export function mayPass(reason: FetchFailureReason): boolean {
  return passing.has(reason);
}

/** The `code` of a system or library error, also inside the aggregate of several attempts. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, errors, cause } = error as { code?: unknown; errors?: unknown; cause?: unknown };
  if (typeof code === 'string') return code;
  if (Array.isArray(errors) && errors.length > 0) return errorCode(errors[0]);
  return cause === undefined ? undefined : errorCode(cause);
}

/** A file that could not be written or read. `what` begins the sentence. */
export function fileFailure(error: unknown, what: string): FetchFailure {
  const code = errorCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return fetchFailure('disk_full', `${what}: the disk is full (${code}).`);
  }
  return fetchFailure('io_error', `${what}: ${code ?? String(error)}.`);
}
