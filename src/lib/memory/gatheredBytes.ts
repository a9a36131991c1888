/**
 * Bytes that wait together in one piece of memory. A peer decides how small its frames are: kept
 * one by one, a frame of one byte would cost a hundred, and joined anew at each, all the bytes
 * before it. Here a byte costs one or two and is copied twice or so, whatever it came in.
 */
const nothing: Buffer = Buffer.alloc(0);

export class GatheredBytes {
  length = 0;
  private memory: Buffer = nothing;

  /** Copies the chunk: a view would keep the whole message that it came in. */
  push(chunk: Buffer): void {
    const length = this.length + chunk.length;
    if (length > this.memory.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, this.length * 2));
      this.memory.copy(larger, 0, 0, this.length);
      this.memory = larger;
    }
    chunk.copy(this.memory, this.length);
    this.length = length;
  }

  /** All of it, to look at until the next `push`. */
  view(): Buffer {
    return this.memory.subarray(0, this.length);
  }

  /** Gives all of it, for good, and begins anew. */
  take(): Buffer {
    const all = this.view();
    this.memory = nothing;
    this.length = 0;
    return all;
  }
}
