/** Careful looks into JSON that somebody else wrote. */
import type { JsonObject } from '../engines/engine.ts';

/** The value when it is an object (not null, not an array). */
export function objectOf(value: unknown): JsonObject | undefined {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
  return value as JsonObject;
}

/** The value when it is an array, otherwise an empty one. */
export function arrayOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Null and missing mean the same in the JSON of engines. */
export function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

/** What `JSON.parse` gives when it is an object; undefined for anything else and for no JSON. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    return objectOf(JSON.parse(text));
  } catch {
    // Not JSON is an answer of its own; there is no way to ask but to try.
    return undefined;
  }
}
