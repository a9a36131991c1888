/** Gives memory back at once that would otherwise wait for a full collection. */

/** Below it the memory is not worth a call; smaller buffers are pieces of a slab, too. */
const worthFreeingBytes = 16 * 1024;

/**
 * Frees the memory of `bytes`, which are empty from then on. For large buffers that nobody will
 * read again: memory outside of V8's heap counts towards its limit, and a full collection comes for
 * every few requests with a large body. A view of other memory is left alone. Bytes that the system
 * may still be writing must not be given here.
 */
export function freeBytes(bytes: Buffer): void {
  const memory = bytes.buffer;
  if (bytes.length < worthFreeingBytes || bytes.length !== memory.byteLength) return;
  // Node 20, which agents may run on, has no way to do it.
  if (memory instanceof ArrayBuffer) memory.transfer?.(0);
}
