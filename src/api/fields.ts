/**
 * Reading single fields of a body from outside, with errors in OpenAI's words: which parameter,
 * what it is, what it must be. Absent and null are the same, as in OpenAI's API.
 */

export type FieldErrorKind =
  | 'invalid_type'
  | 'invalid_value'
  | 'missing_required_parameter'
  | 'unsupported_value';

/** Thrown inside a reader of a body and caught at its edge; never leaves `src/api`. */
export class FieldError extends Error {
  readonly kind: FieldErrorKind;
  readonly param: string | null;

  constructor(kind: FieldErrorKind, options: { param: string | null; message: string }) {
    super(options.message);
    this.kind = kind;
    this.param = options.param;
  }

  /** A value of the wrong type. */
  static type(value: unknown, options: { param: string; want: string }): FieldError {
    const { param, want } = options;
    const message = `Invalid type for '${param}': expected ${want}, but got ${typeName(value)}.`;
    return new FieldError('invalid_type', { param, message });
  }
}

/** What a value is, with an article: `an array`, `a string`, `null`. */
export function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'an integer' : 'a decimal';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

type Fields = Readonly<Record<string, unknown>>;

export function readString(
  fields: Fields,
  param: string,
  bounds: { required?: boolean; max?: number } = {},
): string | undefined {
  const value = fields[param];
  if (value === undefined || value === null) {
    if (bounds.required !== true) return undefined;
    if (value === null) throw FieldError.type(value, { param, want: 'a string' });
    const message = `Missing required parameter: '${param}'.`;
    throw new FieldError('missing_required_parameter', { param, message });
  }
  if (typeof value !== 'string') throw FieldError.type(value, { param, want: 'a string' });
  if (bounds.max !== undefined && value.length > bounds.max) {
    const message = `'${param}' has ${value.length} characters; at most ${bounds.max} are allowed.`;
    throw new FieldError('invalid_value', { param, message });
  }
  return value;
}

export function readBoolean(fields: Fields, param: string): boolean | undefined {
  const value = fields[param];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'boolean') throw FieldError.type(value, { param, want: 'a boolean' });
  return value;
}

interface Range {
  min?: number;
  max?: number;
}

export function readNumber(fields: Fields, param: string, range: Range): number | undefined {
  const value = fields[param];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number') throw FieldError.type(value, { param, want: 'a number' });
  return inRange(value, param, range);
}

export function readInteger(fields: Fields, param: string, range: Range): number | undefined {
  const value = fields[param];
  if (value === undefined || value === null) return undefined;
  if (!Number.isInteger(value)) throw FieldError.type(value, { param, want: 'an integer' });
  return inRange(value as number, param, range);
}

function inRange(value: number, param: string, range: Range): number {
  if (value < (range.min ?? -Infinity)) {
    const message = `'${param}' is ${value}; it must be at least ${range.min}.`;
    throw new FieldError('invalid_value', { param, message });
  }
  if (value > (range.max ?? Infinity)) {
    const message = `'${param}' is ${value}; it must be at most ${range.max}.`;
    throw new FieldError('invalid_value', { param, message });
  }
  return value;
}

export function asList(value: unknown, param: string): readonly unknown[] {
  if (!Array.isArray(value)) throw FieldError.type(value, { param, want: 'an array' });
  return value;
}

export function asObject(value: unknown, param: string): Record<string, unknown> {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw FieldError.type(value, { param, want: 'an object' });
  }
  return value as Record<string, unknown>;
}
