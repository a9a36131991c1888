/**
 * Reads the answers of one keep-alive connection and looks at as little of them as it must: the
 * status, where an answer ends, and the stamps of a stream's chunks.
 *
 * An answer with a length ends by it; any other is chunked and ends with the empty chunk. Events
 * are counted by their stamps, wherever a relay or the kernel has cut them.
 */
import { stampBytes, stampMarker, stampSequence, stampTimeUs } from './chunkStamp.ts';

const headEnd = Buffer.from('\r\n\r\n');
const lastChunk = Buffer.from('0\r\n\r\n');
const eventEnd = Buffer.from('\n\n\r\n');
const done = Buffer.from('data: [DONE]');
const nothing: Buffer = Buffer.alloc(0);

export interface AnswerEvents {
  onFirstByte(): void;
  /** `writtenUs`: when the engine wrote the chunk. */
  onChunk(writtenUs: number): void;
  /**
   * The answer is over. `problem`: why it does not count, in few words; null = it was whole.
   * `message`: what a refusal says of itself.
   */
  onEnd(problem: string | null, message?: string): void;
}

/** Of a refusal's body, for its code; it stands near the beginning. */
const refusalBytes = 4096;

type Phase = 'idle' | 'head' | 'length' | 'chunked';

export class AnswerReader {
  /** Chunks that came out of their order. */
  disorder = 0;
  private readonly events: AnswerEvents;
  private phase: Phase = 'idle';
  private expectedChunks = 0;
  private chunks = 0;
  private bodyLeft = 0;
  private status = '';
  /** The body of an answer that is a refusal. */
  private refusal = '';
  private begun = false;
  private sawDone = false;
  /** The rest of a read that may be the beginning of a stamp or of the end. */
  private carry: Buffer = nothing;

  constructor(events: AnswerEvents) {
    this.events = events;
  }

  /** The next answer is to come. `chunks`: how many it must have; 0 for one in one piece. */
  expect(chunks: number): void {
    this.phase = 'head';
    this.expectedChunks = chunks;
    this.chunks = 0;
    this.begun = false;
    this.sawDone = false;
    this.carry = nothing;
  }

  /** Whether an answer is under way. */
  get busy(): boolean {
    return this.phase !== 'idle';
  }

  /** The connection is lost: the answer will not end. */
  abandon(): void {
    this.phase = 'idle';
  }

  /** The bytes may change after the call. */
  read(bytes: Buffer): void {
    if (this.phase === 'idle') return this.end('bytes that nobody asked for');
    const whole = this.carry.length === 0 ? bytes : Buffer.concat([this.carry, bytes]);
    this.carry = nothing;
    if (this.phase === 'head') this.readHead(whole);
    else this.readBody(whole);
  }

  private readHead(bytes: Buffer): void {
    const end = bytes.indexOf(headEnd);
    if (end === -1) {
      this.carry = Buffer.from(bytes);
      return;
    }
    const head = bytes.toString('latin1', 0, end);
    this.status = head.slice(9, 12);
    this.refusal = '';
    const length = /content-length: *(\d+)/i.exec(head)?.[1];
    this.bodyLeft = Number(length ?? 0);
    this.phase = length === undefined ? 'chunked' : 'length';
    const rest = bytes.subarray(end + headEnd.length);
    if (rest.length > 0) this.readBody(rest);
  }

  private readBody(bytes: Buffer): void {
    if (!this.begun) {
      this.begun = true;
      this.events.onFirstByte();
    }
    if (this.status !== '200' && this.refusal.length < refusalBytes) {
      this.refusal += bytes.toString('latin1', 0, refusalBytes);
    }
    if (this.phase === 'length') {
      this.bodyLeft -= bytes.length;
      if (this.bodyLeft <= 0) this.finish();
      return;
    }
    const from = this.readStamps(bytes);
    if (endsWith(bytes, eventEnd)) {
      if (bytes.indexOf(done, from) !== -1) this.sawDone = true;
      return;
    }
    if (endsWith(bytes, lastChunk)) {
      if (bytes.indexOf(done, from) !== -1) this.sawDone = true;
      return this.finish();
    }
    this.carry = Buffer.from(bytes.subarray(from));
  }

  /** Gives the place after the last stamp. */
  private readStamps(bytes: Buffer): number {
    let from = 0;
    for (;;) {
      const at = bytes.indexOf(stampMarker, from);
      if (at === -1 || at + stampBytes > bytes.length) return at === -1 ? from : at;
      if (stampSequence(bytes, at) !== this.chunks) this.disorder += 1;
      this.chunks += 1;
      from = at + stampBytes;
      this.events.onChunk(stampTimeUs(bytes, at));
    }
  }

  private finish(): void {
    if (this.status !== '200') return this.end(this.refused(), this.refusalMessage());
    if (this.phase === 'length') return this.end(null);
    if (this.chunks !== this.expectedChunks) {
      return this.end(`${this.chunks} chunks of ${this.expectedChunks}`);
    }
    this.end(this.sawDone ? null : 'no [DONE]');
  }

  /** A status alone does not say which of its reasons it was. */
  private refused(): string {
    const code = /"code":"(\w+)"/.exec(this.refusal)?.[1];
    return `status ${this.status}${code === undefined ? '' : ` (${code})`}`;
  }

  private refusalMessage(): string | undefined {
    return /"message":"((?:[^"\\]|\\.)*)"/.exec(this.refusal)?.[1];
  }

  private end(problem: string | null, message?: string): void {
    this.phase = 'idle';
    this.events.onEnd(problem, message);
  }
}

function endsWith(bytes: Buffer, end: Buffer): boolean {
  const at = bytes.length - end.length;
  return at >= 0 && bytes.compare(end, 0, end.length, at) === 0;
}
