/** SHA-256 of a file in a bounded amount of memory, and the first bytes that make it a GGUF. */
import { createHash, type Hash } from 'node:crypto';
import { open } from 'node:fs/promises';

/** Bytes read at once. */
const chunkBytes = 1024 * 1024;

/**
 * Feeds the first `length` bytes of a file (all of it by default) to `hash`. Rejects with the error
 * of the file system, or with the signal's reason when that aborts.
 */
export async function hashInto(
  hash: Hash,
  file: string,
  options: { length?: number; signal: AbortSignal; onBytes?: (doneBytes: number) => void },
): Promise<void> {
  const handle = await open(file, 'r');
  try {
    const buffer = Buffer.allocUnsafe(chunkBytes);
    const length = options.length ?? Number.POSITIVE_INFINITY;
    let done = 0;
    while (done < length) {
      options.signal.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, Math.min(chunkBytes, length - done), done);
      if (bytesRead === 0) return;
      hash.update(buffer.subarray(0, bytesRead));
      done += bytesRead;
      options.onBytes?.(done);
    }
  } finally {
    await handle.close();
  }
}

/** SHA-256 of a whole file as lower-case hex. Rejects as `hashInto` does. */
export async function fileDigest(
  file: string,
  options: { signal: AbortSignal; onBytes?: (doneBytes: number) => void },
): Promise<string> {
  const hash = createHash('sha256');
  await hashInto(hash, file, options);
  return hash.digest('hex');
}

/** Whether a file begins as every GGUF does. Rejects with the error of the file system. */
export async function isGguf(file: string): Promise<boolean> {
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return bytesRead === 4 && buffer.toString('latin1') === 'GGUF';
  } finally {
    await handle.close();
  }
}
