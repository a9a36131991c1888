/** Tool calls as OpenAI's schema demands them: engines leave out ids, indices and types. */
import type { JsonObject } from '../engines/engine.ts';
import { arrayOf, objectOf, stringOf } from './jsonValue.ts';

/**
 * Tool calls of one choice over a whole answer. A call without an id gets one that is unique in the
 * answer; in a stream, a piece without an index belongs to a new call when it names a function,
 * otherwise to the last one.
 */
export class ToolCalls {
  private readonly idPrefix: string;
  /** Calls begun so far; their indices are 0 to `count` − 1. */
  private count = 0;

  /** `idPrefix` is the request's, with the choice's index. */
  constructor(idPrefix: string) {
    this.idPrefix = idPrefix;
  }

  /** The `tool_calls` of a whole message; undefined when there are none (never an empty list). */
  whole(value: unknown): JsonObject[] | undefined {
    const calls = arrayOf(value).flatMap((entry) => {
      const call = objectOf(entry);
      if (call === undefined) return [];
      const index = this.count;
      this.count += 1;
      return [{ id: this.idOf(call, index), type: 'function', function: functionOf(call, '') }];
    });
    return calls.length === 0 ? undefined : calls;
  }

  /** The `tool_calls` of one delta; undefined when there are none. */
  delta(value: unknown): JsonObject[] | undefined {
    const pieces = arrayOf(value).flatMap((entry) => {
      const call = objectOf(entry);
      return call === undefined ? [] : [this.piece(call)];
    });
    return pieces.length === 0 ? undefined : pieces;
  }

  private piece(call: JsonObject): JsonObject {
    const named = stringOf(objectOf(call['function'])?.['name']) !== undefined;
    const given = call['index'];
    const known = typeof given === 'number' && Number.isInteger(given) && given >= 0;
    const index = known ? given : named ? this.count : Math.max(0, this.count - 1);
    const begins = index >= this.count;
    if (begins) this.count = index + 1;
    return {
      index,
      ...(begins ? { id: this.idOf(call, index), type: 'function' } : {}),
      function: functionOf(call, begins ? '' : undefined),
    };
  }

  private idOf(call: JsonObject, index: number): string {
    return stringOf(call['id']) || `call_${this.idPrefix}_${index}`;
  }
}

/** `missing` stands for arguments that are not there: a stream's later pieces need none. */
function functionOf(call: JsonObject, missing: string | undefined): JsonObject {
  const given = objectOf(call['function']) ?? {};
  const name = stringOf(given['name']);
  const value = given['arguments'];
  // Some engines give the arguments parsed.
  const text = typeof value === 'string' ? value : objectOf(value) && JSON.stringify(value);
  const args = text ?? missing;
  return {
    ...(name === undefined ? {} : { name }),
    ...(args === undefined ? {} : { arguments: args }),
  };
}
