/**
 * Ids of requests, `req_…`. Randomness is drawn for many ids at once: asking the system for 16
 * bytes costs as much as asking for 4 KiB, and every request asks.
 */
import { newId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';

const drawnBytes = 4096;

export function createRequestIds(random: Random): () => string {
  let drawn: Buffer = Buffer.alloc(0);
  let used = 0;
  const pooled: Random = {
    float: () => random.float(),
    bytes(count) {
      if (used + count > drawn.length) {
        drawn = random.bytes(drawnBytes);
        used = 0;
      }
      used += count;
      return drawn.subarray(used - count, used);
    },
  };
  return () => newId('req', pooled);
}
