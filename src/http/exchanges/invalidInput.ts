/** From a schema's complaint to the envelope: which parameter, and what it must be. */
import type { z } from 'zod';
import type { ErrorName } from '../../api/errors.ts';

export interface InvalidInput {
  name: ErrorName;
  message: string;
  param: string | null;
}

/** The first complaint about `input`. */
export function invalidInput(error: z.ZodError, input: unknown): InvalidInput {
  const [issue] = error.issues;
  if (issue === undefined) return { name: 'invalid_value', message: 'Invalid body.', param: null };
  if (issue.code === 'unrecognized_keys') {
    const param = paramOf([...issue.path, issue.keys[0] ?? '']);
    const message = `Unknown parameter: '${param}'.`;
    return { name: 'unsupported_parameter', message, param };
  }
  const param = paramOf(issue.path);
  const what = param === null ? 'the body' : `'${param}'`;
  if (issue.code === 'invalid_type' && valueAt(input, issue.path) === undefined) {
    const message = `Missing required parameter: ${what}.`;
    return { name: 'missing_required_parameter', message, param };
  }
  const name = issue.code === 'invalid_type' ? 'invalid_type' : 'invalid_value';
  return { name, message: `Invalid value for ${what}: ${issue.message}.`, param };
}

/** `['facts', 'cpu', 'cores']` → `facts.cpu.cores`; numbers become indexes. */
function paramOf(path: readonly PropertyKey[]): string | null {
  if (path.length === 0) return null;
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, part) =>
      value !== null && typeof value === 'object' ? Reflect.get(value, part) : undefined,
    input,
  );
}
