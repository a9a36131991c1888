/**
 * Collects the young generation in time for large buffers that nobody can free by hand: those that
 * libraries make while they read and write. V8 does it when the young objects of the heap fill
 * their space; a buffer is a small object there, however much memory hangs on it, so that what came
 * first was a full collection, for every twenty bodies of 1 MiB.
 */

/** A quarter of what the heap may grow by before it is collected as a whole. */
const collectFromBytes = 16 * 1024 * 1024;

let gatheredBytes = 0;

/**
 * Says that about so many bytes of large buffers were left to the collector. Every now and then
 * that costs this thread a millisecond, after what it has to do now.
 */
export function leaveToCollector(bytes: number): void {
  gatheredBytes += bytes;
  if (gatheredBytes < collectFromBytes) return;
  gatheredBytes = 0;
  setImmediate(() => globalThis.gc?.({ type: 'minor', execution: 'sync' }));
}
