/**
 * Somebody's words as an event keeps them: on one line, without control characters, not too long.
 * PostgreSQL refuses a NUL, and an event that is refused for ever holds up those of all agents.
 */
import { longestDetail } from '../limits.ts';

export function eventDetail(text: string): string {
  return text
    .slice(0, longestDetail)
    .replaceAll(/[\p{Cc}\p{Cs}]+/gu, ' ')
    .trim();
}
