/** A moment as people say it: a day, a time of a day, or how long ago. */
import { parseDuration } from '../../lib/text/quantities.ts';
import type { Asked, BodyField } from './bodyFields.ts';

/** `2026-03-01` (UTC), `2026-03-01T08:00:00Z`, `24h` (ago). Undefined: none of them. */
export function momentOf(text: string, nowMs: number): string | undefined {
  const ago = parseDuration(text);
  const dated = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const ms = 'value' in ago ? nowMs - ago.value : dated ? Date.parse(text) : Number.NaN;
  return Number.isFinite(ms) ? new Date(ms).toISOString() : undefined;
}

/** A field that is a moment. */
export function timeField(flag: string, help: string): BodyField {
  return {
    row: {
      type: 'text',
      flag,
      default: undefined,
      placeholder: 'TIME',
      help,
      check: (text: string) =>
        momentOf(text, 0) === undefined
          ? 'give a day (2026-03-01), a time (2026-03-01T08:00:00Z) or how long ago (24h)'
          : undefined,
    },
    member: flag,
    to: (text: string, { nowMs }: Asked) => momentOf(text, nowMs),
  };
}
