/**
 * What of a server-sent event stream must not go out yet: an event whose rest is still under way,
 * and the last one, `data: [DONE]`, which waits for the journal.
 *
 * The agent writes whole events, so nearly every chunk ends with one and is not that last one:
 * `isPlain` asks for three bytes and the chunk passes untouched. Everything else comes here.
 *
 * Invariants
 * E1 Only whole events are passed on, so that an error event can follow at any time; an event
 *    larger than `maxHeldEventBytes` is passed on in parts.
 * E2 No byte is dropped or doubled: what is held is passed on by the next `take` or by `rest`.
 * E3 A byte costs the same, however small the pieces are that an agent sends.
 */
import { maxHeldEventBytes } from '../limits.ts';
import { GatheredBytes } from '../../lib/memory/gatheredBytes.ts';

const lineFeed = 0x0a;
const closingBracket = 0x5d;
const boundary = '\n\n';
const done = Buffer.from('data: [DONE]\n\n');
const nothing: Buffer = Buffer.alloc(0);

/** Whether a chunk ends with an event, and not with one that could be the last. */
export function isPlain(chunk: Buffer): boolean {
  const { length } = chunk;
  return (
    chunk[length - 1] === lineFeed &&
    chunk[length - 2] === lineFeed &&
    chunk[length - 3] !== closingBracket
  );
}

export class EventTail {
  private readonly held = new GatheredBytes();
  /** Length of the whole event that is held: the last one, or 0. */
  private heldWhole = 0;
  /** Part of an event has gone out: its end has to go out before anything else can. */
  private torn = false;

  /** Nothing is held: a plain chunk may pass by itself. */
  get isEmpty(): boolean {
    return this.held.length === 0;
  }

  /** Whether an event was passed on in part. */
  get isTorn(): boolean {
    return this.torn;
  }

  /** Takes a chunk and gives what may go out now, which may be nothing. */
  take(chunk: Buffer): Buffer {
    const { held } = this;
    const looked = held.length;
    if (looked > 0) held.push(chunk);
    const all = looked > 0 ? held.view() : chunk;
    const cut = this.cutOf(all, looked);
    if (cut === 0) {
      if (looked === 0) held.push(chunk);
      return nothing;
    }
    held.take();
    if (cut < all.length) held.push(all.subarray(cut));
    return all.subarray(0, cut);
  }

  /** Gives what is held, when the stream has ended well. */
  rest(): Buffer {
    this.heldWhole = 0;
    return this.held.take();
  }

  /** How much may go out. E3: of the first `looked` bytes only the last is looked at again. */
  private cutOf(all: Buffer, looked: number): number {
    const from = Math.max(0, looked - 1);
    const end = all.subarray(from).lastIndexOf(boundary);
    const whole = end === -1 ? this.heldWhole : from + end + boundary.length;
    this.heldWhole = 0;
    if (all.length - whole > maxHeldEventBytes) {
      this.torn = true;
      return all.length;
    }
    if (whole > 0) this.torn = false;
    if (whole !== all.length || !endsWith(all, done)) return whole;
    this.heldWhole = done.length;
    return all.length - done.length;
  }
}

function endsWith(bytes: Buffer, end: Buffer): boolean {
  return bytes.length >= end.length && bytes.subarray(bytes.length - end.length).equals(end);
}
