/**
 * Server-sent events, read from bytes as they come.
 *
 * Invariants
 * S1 Events come out exactly as they were sent: never split by where a read ended, never joined.
 * S2 Only bytes are looked at, so that a UTF-8 character may be cut anywhere.
 * S3 An event comes out as soon as its blank line is complete; a `\r` completes it, and a `\n` that
 *    follows is skipped when it comes.
 * S4 At most `maxEventBytes` are held. Beyond it the splitter is spent: what follows a cut event
 *    cannot be trusted.
 *
 * Lines end in LF, CRLF or CR, also mixed, as the HTML standard says (section 9.2.5).
 */

import { GatheredBytes } from '../memory/gatheredBytes.ts';

const lf = 0x0a;
const cr = 0x0d;
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/** Takes one raw event, without the blank line that ended it. Never empty. */
export type OnEvent = (event: Buffer) => void;

export class SseSplitter {
  private readonly maxEventBytes: number;
  private readonly onEvent: OnEvent;
  /** Bytes of the unfinished event from earlier chunks, however small these were. */
  private readonly held = new GatheredBytes();
  /**
   * The last byte was the end of a line (or nothing came yet): another line end is a blank line.
   */
  private atLineStart = true;
  private lastWasCr = false;
  private seenAny = false;
  private tooLarge = false;

  constructor(options: { maxEventBytes: number; onEvent: OnEvent }) {
    this.maxEventBytes = options.maxEventBytes;
    this.onEvent = options.onEvent;
  }

  /** Bytes that are held for an unfinished event. */
  get pendingBytes(): number {
    return this.held.length;
  }

  /** Reads one chunk and calls `onEvent` for each event that it completes. */
  push(chunk: Buffer): 'ok' | 'event_too_large' {
    if (this.tooLarge) return 'event_too_large';
    let eventStart = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at];
      if (byte !== lf && byte !== cr) {
        this.atLineStart = false;
        this.lastWasCr = false;
        continue;
      }
      const secondHalf = byte === lf && this.lastWasCr;
      this.lastWasCr = byte === cr;
      if (secondHalf) {
        // S3: the LF of a CRLF whose CR has already ended an event belongs to nothing.
        if (this.atLineStart && this.held.length === 0 && at === eventStart) eventStart = at + 1;
        continue;
      }
      if (!this.atLineStart) {
        this.atLineStart = true;
        continue;
      }
      this.take(chunk.subarray(eventStart, at));
      if (this.tooLarge) return 'event_too_large';
      eventStart = at + 1;
    }
    return this.hold(chunk.subarray(eventStart));
  }

  /**
   * The end of the input: gives back what was never ended by a blank line (engines do leave the
   * last one out), or undefined when nothing is left.
   */
  finish(): Buffer | undefined {
    const rest = trimmed(this.held.take());
    return rest.length === 0 ? undefined : rest;
  }

  private take(tail: Buffer): void {
    if (this.isTooLarge(tail)) return;
    let whole = tail;
    if (this.held.length > 0) {
      this.held.push(tail);
      whole = this.held.take();
    }
    const event = trimmed(this.withoutMark(whole));
    if (event.length > 0) this.onEvent(event);
  }

  private hold(rest: Buffer): 'ok' | 'event_too_large' {
    if (rest.length === 0) return 'ok';
    if (this.isTooLarge(rest)) return 'event_too_large';
    this.held.push(rest);
    return 'ok';
  }

  /** S4: whether the event would be over the bound with these bytes; it is given up then. */
  private isTooLarge(more: Buffer): boolean {
    if (this.held.length + more.length <= this.maxEventBytes) return false;
    this.tooLarge = true;
    this.held.take();
    return true;
  }

  /** A byte order mark may stand before the first event only. */
  private withoutMark(event: Buffer): Buffer {
    if (this.seenAny) return event;
    this.seenAny = true;
    return event.subarray(0, 3).equals(byteOrderMark) ? event.subarray(3) : event;
  }
}

/** Without line ends before and after. */
function trimmed(event: Buffer): Buffer {
  let start = 0;
  let end = event.length;
  while (start < end && isLineEnd(event[start])) start += 1;
  while (end > start && isLineEnd(event[end - 1])) end -= 1;
  return event.subarray(start, end);
}

function isLineEnd(byte: number | undefined): boolean {
  return byte === lf || byte === cr;
}

export interface SseEvent {
  /** The `event` field; `message` when there is none. */
  name: string;
  /** The `data` lines joined by LF; undefined when the event has none (a comment, say). */
  data: string | undefined;
  /** By which a stream can be taken up again; undefined when it has none. */
  id: string | undefined;
}

/** Reads the fields of one raw event. Bytes that are not UTF-8 become replacement characters. */
export function parseSseEvent(raw: Buffer): SseEvent {
  let name = 'message';
  let id: string | undefined;
  const data: string[] = [];
  for (const line of raw.toString('utf8').split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const rest = colon === -1 ? '' : line.slice(colon + 1);
    const value = rest.startsWith(' ') ? rest.slice(1) : rest;
    if (field === 'data') data.push(value);
    else if (field === 'event') name = value;
    else if (field === 'id') id = value;
  }
  return { name, data: data.length === 0 ? undefined : data.join('\n'), id };
}
