/**
 * Reads a request's body whole, by data handlers, within two bounds: its own size, and the bytes
 * that all requests together may have in hand while they are being read.
 */
import type { Exchange } from './exchange.ts';

export type BodyOutcome =
  | { kind: 'read'; body: Buffer }
  | { kind: 'too_large' }
  /** Others are being read and fill the server's bound. */
  | { kind: 'busy' }
  /** The client went away, or broke off; there is nobody to answer. */
  | { kind: 'aborted' };

/** The bytes that may be in hand at once, shared by all readers. */
export class ReadingBudget {
  private readonly maxBytes: number;
  private heldBytes = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** Bytes in hand now. */
  get held(): number {
    return this.heldBytes;
  }

  take(bytes: number): boolean {
    if (this.heldBytes + bytes > this.maxBytes) return false;
    this.heldBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.heldBytes -= bytes;
  }
}

/**
 * Resolves with how it went; never rejects. A client that waits to be asked (100) is asked here.
 */
export function readBody(
  exchange: Exchange,
  options: { maxBytes: number; budget: ReadingBudget },
): Promise<BodyOutcome> {
  const { request } = exchange;
  const declared = request.headers['content-length'];
  if (declared !== undefined && Number(declared) > options.maxBytes) {
    return Promise.resolve({ kind: 'too_large' });
  }
  exchange.askForBody();
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const finish = (outcome: BodyOutcome): void => {
      request.off('data', onData);
      request.off('end', onEnd);
      request.off('close', onClose);
      request.off('error', onClose);
      options.budget.give(bytes);
      resolve(outcome);
    };
    const onData = (chunk: Buffer): void => {
      if (bytes + chunk.length > options.maxBytes) return finish({ kind: 'too_large' });
      if (!options.budget.take(chunk.length)) return finish({ kind: 'busy' });
      bytes += chunk.length;
      chunks.push(chunk);
    };
    const onEnd = (): void => {
      const [only] = chunks;
      const body = chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
      finish({ kind: 'read', body });
    };
    const onClose = (): void => finish({ kind: 'aborted' });
    request.on('data', onData);
    request.on('end', onEnd);
    request.on('close', onClose);
    request.on('error', onClose);
  });
}

/** The same for most handlers: what cannot be read is refused here, and undefined comes back. */
export async function readOrRefuse(
  exchange: Exchange,
  options: { maxBytes: number; budget: ReadingBudget },
): Promise<Buffer | undefined> {
  const read = await readBody(exchange, options);
  switch (read.kind) {
    case 'read':
      // A client that left while its last bytes were read is not worth any work.
      return exchange.response.destroyed ? undefined : read.body;
    case 'aborted':
      return undefined;
    case 'too_large': {
      const message = `The request body is over the bound of ${options.maxBytes} bytes.`;
      exchange.refuse('request_too_large', message);
      return undefined;
    }
    case 'busy': {
      const message = 'The server is reading as many request bytes as it may hold.';
      exchange.refuse('queue_full', message, { retryAfterMs: 1000 });
      return undefined;
    }
  }
}
