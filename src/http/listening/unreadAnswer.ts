/**
 * A client that asked, and does not read what it is told: its answer would lie in memory, or in an
 * open file, for as long as it likes. Once all of an answer is known, the client has
 * `unreadAnswerMs` for it, and beyond that as long as its bytes take at `leastReadBytesPerSecond`.
 * Nothing that it sends or reads meanwhile prolongs that: a byte now and then would do so for ever.
 */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import type { HttpLimits } from '../limits.ts';

export type ReadingPace = Pick<HttpLimits, 'unreadAnswerMs' | 'leastReadBytesPerSecond'>;

/** Cuts the connection when `bytes` of the response have not been read in time. */
export function cutWhenUnread(
  response: ServerResponse,
  options: { bytes: number; pace: ReadingPace; clock: Clock },
): void {
  const { bytes, pace, clock } = options;
  const afterMs = pace.unreadAnswerMs + (bytes / pace.leastReadBytesPerSecond) * 1000;
  const timer = clock.setTimer(afterMs, () => response.destroy());
  response.once('close', () => timer.cancel());
}
