/**
 * Reads a request's body whole, by data handlers, within three bounds: its own size, the bytes that
 * all requests together may have in hand while they are being read, and the part of them that one
 * caller may hold.
 *
 * Invariants
 * Y1 A body costs its bytes, however small the pieces are that it comes in.
 * Y2 One caller that sends and never finishes leaves room for the others.
 */
import { freeBytes } from '../../lib/memory/freeBytes.ts';
import { GatheredBytes } from '../../lib/memory/gatheredBytes.ts';
import type { Exchange, RefusalDetails } from '../exchanges/exchange.ts';
import { bodyPieceBytes, longestShownName, smallPieceBytes } from '../limits.ts';
import { bodyCoding } from './requestHead.ts';

export type BodyOutcome =
  | { kind: 'read'; body: Buffer }
  | { kind: 'too_large' }
  /** It is compressed. */
  | { kind: 'encoded'; coding: string }
  /** Others are being read and fill the server's bound, or the caller's part of it. */
  | { kind: 'busy'; full: FullBudget }
  /** The client went away, or broke off; there is nobody to answer. */
  | { kind: 'aborted' };

/** The bound that was met. */
export interface FullBudget {
  of: 'server' | 'caller';
  limitBytes: number;
}

/** The bytes that may be in hand at once, shared by all readers, with a part for each caller. */
export class ReadingBudget {
  private readonly maxBytes: number;
  private readonly callerBytes: number;
  private heldBytes = 0;
  /** By caller; only those that hold any. */
  private readonly shares = new Map<string, number>();

  constructor(bounds: { maxBytes: number; callerBytes: number }) {
    this.maxBytes = bounds.maxBytes;
    this.callerBytes = bounds.callerBytes;
  }

  /** Bytes in hand now. */
  get held(): number {
    return this.heldBytes;
  }

  /** Callers that hold some of them. */
  get callers(): number {
    return this.shares.size;
  }

  /** Takes bytes, or says which bound they meet. */
  take(caller: string, bytes: number): FullBudget | undefined {
    const share = (this.shares.get(caller) ?? 0) + bytes;
    if (share > this.callerBytes) return { of: 'caller', limitBytes: this.callerBytes };
    if (this.heldBytes + bytes > this.maxBytes) return { of: 'server', limitBytes: this.maxBytes };
    this.shares.set(caller, share);
    this.heldBytes += bytes;
    return undefined;
  }

  give(caller: string, bytes: number): void {
    this.heldBytes -= bytes;
    const left = (this.shares.get(caller) ?? 0) - bytes;
    if (left > 0) this.shares.set(caller, left);
    else this.shares.delete(caller);
  }
}

export interface ReadOptions {
  maxBytes: number;
  budget: ReadingBudget;
  /** Whose part of the budget it is: a project, or an address. */
  caller: string;
}

/**
 * Resolves with how it went; never rejects. A client that waits to be asked (100) is asked here.
 */
export function readBody(exchange: Exchange, options: ReadOptions): Promise<BodyOutcome> {
  const { request } = exchange;
  const coding = bodyCoding(request);
  if (coding !== undefined) return Promise.resolve({ kind: 'encoded', coding });
  const declared = request.headers['content-length'];
  if (declared !== undefined && Number(declared) > options.maxBytes) {
    return Promise.resolve({ kind: 'too_large' });
  }
  exchange.askForBody();
  return new Promise((resolve) => {
    const { budget, caller } = options;
    const pieces = new BodyPieces();
    const finish = (outcome: BodyOutcome): void => {
      request.off('data', onData);
      request.off('end', onEnd);
      request.off('close', onClose);
      request.off('error', onClose);
      budget.give(caller, pieces.length);
      resolve(outcome);
    };
    const onData = (chunk: Buffer): void => {
      if (pieces.length + chunk.length > options.maxBytes) return finish({ kind: 'too_large' });
      const full = budget.take(caller, chunk.length);
      if (full !== undefined) return finish({ kind: 'busy', full });
      pieces.push(chunk);
    };
    const onEnd = (): void => finish({ kind: 'read', body: pieces.whole() });
    const onClose = (): void => finish({ kind: 'aborted' });
    request.on('data', onData);
    request.on('end', onEnd);
    request.on('close', onClose);
    request.on('error', onClose);
  });
}

/**
 * The chunks of one body. Usual ones are kept as they came and joined once; small ones are gathered
 * first, because each would cost a hundred times its bytes (Y1). The chunks are this object's own.
 */
export class BodyPieces {
  length = 0;
  private readonly pieces: Buffer[] = [];
  private readonly small = new GatheredBytes();

  push(chunk: Buffer): void {
    const isFirst = this.length === 0;
    this.length += chunk.length;
    if (isFirst || chunk.length >= smallPieceBytes) {
      this.settleSmall();
      this.pieces.push(chunk);
      return;
    }
    this.small.push(chunk);
    if (this.small.length >= bodyPieceBytes) this.settleSmall();
  }

  /** Pieces of memory that hold it. */
  get pieceCount(): number {
    return this.pieces.length;
  }

  /** Call once: the chunks' memory is given back when they are joined. */
  whole(): Buffer {
    this.settleSmall();
    const [only] = this.pieces;
    if (this.pieces.length === 1 && only !== undefined) return only;
    const whole = Buffer.concat(this.pieces);
    // Copies of the parser's, made for us alone.
    for (const piece of this.pieces) freeBytes(piece);
    return whole;
  }

  private settleSmall(): void {
    if (this.small.length > 0) this.pieces.push(this.small.take());
  }
}

/** The same for most handlers: what cannot be read is refused here, and undefined comes back. */
export async function readOrRefuse(
  exchange: Exchange,
  options: ReadOptions,
): Promise<Buffer | undefined> {
  const read = await readBody(exchange, options);
  switch (read.kind) {
    case 'read':
      // A client that left while its last bytes were read is not worth any work.
      return exchange.response.destroyed ? undefined : read.body;
    case 'aborted':
      return undefined;
    case 'encoded': {
      const shown = read.coding.slice(0, longestShownName);
      const message = `The request body has the content-encoding '${shown}'; send it as it is.`;
      exchange.refuse('unsupported_encoding', message, {
        headers: ['accept-encoding', 'identity'],
      });
      return undefined;
    }
    case 'too_large': {
      const message = `The request body is over the bound of ${options.maxBytes} bytes.`;
      exchange.refuse('request_too_large', message);
      return undefined;
    }
    case 'busy':
      exchange.refuse('queue_full', ...busyWords(read.full));
      return undefined;
  }
}

function busyWords({ of, limitBytes }: FullBudget): [string, RefusalDetails] {
  const whose = of === 'server' ? 'The server has' : 'You have';
  const bound = `${limitBytes} bytes of unfinished requests under way, which is the bound`;
  const message = `${whose} ${bound}.`;
  const limit = { name: `reading_bytes_of_${of}`, value: limitBytes };
  return [message, { retryAfterMs: 1000, extra: { limit } }];
}
