/**
 * A stream that may be continued by another agent: what is kept of it while all is well, and what
 * is made of that when it breaks. Nothing is parsed before.
 *
 *     fresh ──begin──▶ kept ──next──▶ kept (continued by somebody else) …
 *       └────────────────┴──too much──▶ lost
 *
 * Invariants
 * N2 What is kept of one stream, and of all streams together, is bounded; beyond, a stream goes on
 *    and is not resumable any more.
 */
import type { Ability } from '../../api/abilities.ts';
import { GatheredBytes } from '../../lib/memory/gatheredBytes.ts';
import { maxKeptBodyBytes, maxKeptBytes, maxKeptBytesInAll, maxResumes } from '../limits.ts';
import type { InferenceRequest } from '../ports.ts';
import { readDelivered, type DeliveredText } from './deliveredText.ts';
import type { PromptPart } from './promptTokens.ts';
import { resumedBody } from './resumedBody.ts';
import { ResumedStream, usageChunk, type TokenCounts } from './resumedStream.ts';
import { Seam, sentText } from './seam.ts';

/** What all resumable streams keep together, in bytes. */
export interface KeptInAll {
  bytes: number;
}

/** How a stream that broke goes on. */
export type NextStep =
  /** It cannot: the client is told. */
  | { kind: 'none'; why: string }
  /** The client has all of the answer but these bytes and the end of the stream. */
  | { kind: 'complete'; bytes: Buffer; used: UsedSoFar }
  | Continuation;

export interface Continuation extends PromptPart {
  kind: 'continue';
  body: Buffer;
  stream: ResumedStream;
  /** What the next agent has to be able to do, beyond what the client asked for. */
  abilities: readonly Ability[];
  /** False: whoever was to continue it has given nothing; it is the same break still. */
  isNewBreak: boolean;
}

/** What an answer came to, as far as somebody said so. */
export interface UsedSoFar {
  /** The engine's own count, which was under way when the stream broke; null: it did not come. */
  told: Record<string, unknown> | null;
  /** By its chunks. */
  tokens: number;
  /** All that the client was given. */
  bytes: number;
  /** The last chunk of the answer, if the client asked for it and has not had it. */
  chunkOf(usage: TokenCounts): Buffer;
}

/** Of a stream that is not resumable. */
export const noStep: NextStep = { kind: 'none', why: 'not_resumable' };

/** Abilities that leave nothing behind in a stream but text. */
const plain: ReadonlySet<string> = new Set<Ability>(['chat', 'image']);

type Wanted = Pick<InferenceRequest, 'resume' | 'stream' | 'path' | 'abilities'>;

/** Whether a broken stream of this request may ever be continued. */
export function mayResume({ resume, stream, path, abilities }: Wanted): boolean {
  const isChat = path === '/v1/chat/completions';
  return resume && stream && isChat && abilities.every((ability) => plain.has(ability));
}

export class Resumable {
  /** How often it was continued by somebody else. */
  resumed = 0;
  private readonly includeUsage: boolean;
  private readonly inAll: KeptInAll;
  private readonly kept = new GatheredBytes();
  private body: Buffer | undefined;
  private takenBytes = 0;
  /** Who wrote which chunks: up to which one, and how many tokens each of them has. */
  private readonly spans: { upTo: number; tokensPerChunk: number }[] = [];
  /** What was kept when it broke last. */
  private brokenAtBytes = -1;

  constructor(options: { includeUsage: boolean; inAll: KeptInAll }) {
    this.includeUsage = options.includeUsage;
    this.inAll = options.inAll;
  }

  /** Too much came to keep it: it stays broken if it breaks. */
  get isLost(): boolean {
    return this.body === undefined;
  }

  /** The client was given something since it broke last. */
  get isNewBreak(): boolean {
    return this.kept.length !== this.brokenAtBytes;
  }

  /** The client has its first bytes. False: there is no room to keep the request's body. */
  begin(body: Buffer): boolean {
    if (body.length > maxKeptBodyBytes || !this.take(body.length)) return false;
    this.body = body;
    return true;
  }

  /** Whole events that go out to the client. */
  keep(events: Buffer): void {
    if (this.body === undefined) return;
    const isTooMuch = this.kept.length + events.length > maxKeptBytes;
    if (isTooMuch || !this.take(events.length)) return this.release();
    // A copy: a view would keep the link's whole message, with the events of other requests.
    this.kept.push(events);
  }

  /** The stream broke. `tokensPerChunk`: of the agent that wrote it last. */
  next(tokensPerChunk: number): NextStep {
    const { body } = this;
    if (body === undefined) return { kind: 'none', why: 'not_kept' };
    const delivered = readDelivered(this.kept.view());
    if (delivered.kind === 'unfit') return { kind: 'none', why: delivered.why };
    this.spans.push({ upTo: delivered.tokenEnds.length, tokensPerChunk });
    if (delivered.finishReason !== null) return this.complete(delivered, Buffer.alloc(0));
    if (this.isNewBreak && this.resumed === maxResumes) return { kind: 'none', why: 'too_often' };
    return this.continuation(body, delivered);
  }

  /** Nothing of it is needed any more. Idempotent. */
  release(): void {
    this.inAll.bytes -= this.takenBytes;
    this.takenBytes = 0;
    this.body = undefined;
    this.kept.take();
  }

  private continuation(body: Buffer, delivered: DeliveredText): NextStep {
    const { frame, text, tokenEnds } = delivered;
    const { includeUsage } = this;
    const sent = sentText(text);
    // A prompt without an open turn holds nothing of the answer.
    const isSent = (end: number): boolean => sent !== '' && end <= sent.length;
    const sentTokens = this.tokensIn(tokenEnds.filter(isSent).length);
    const tokens = this.tokensIn(tokenEnds.length);
    const resumed = resumedBody(body, { sent, sentTokens, tokens });
    if (resumed.kind === 'unfit') return { kind: 'none', why: 'not_text' };
    if (resumed.kind === 'spent') {
      return this.complete(delivered, this.lastChunk(delivered));
    }
    const { isNewBreak } = this;
    this.brokenAtBytes = this.kept.length;
    if (isNewBreak) this.resumed += 1;
    const part = { sentTokens, ...resumed.prompt };
    const stream = new ResumedStream({
      frame,
      seam: new Seam({ delivered: text, stops: resumed.stops }),
      resumed: this.resumed,
      ...part,
      isAnew: tokens === 0,
      includeUsage,
    });
    const abilities: Ability[] = sent === '' ? [] : ['continue'];
    return { kind: 'continue', body: resumed.body, stream, abilities, ...part, isNewBreak };
  }

  private complete({ frame, tokenEnds, usage }: DeliveredText, bytes: Buffer): NextStep {
    const { includeUsage, resumed } = this;
    const isMissing = includeUsage && usage === null;
    const chunkOf = (counts: TokenCounts): Buffer =>
      isMissing ? usageChunk(frame, { counts, resumed }) : Buffer.alloc(0);
    const tokens = this.tokensIn(tokenEnds.length);
    const used = { told: usage, tokens, bytes: this.kept.length, chunkOf };
    return { kind: 'complete', bytes, used };
  }

  /** Of an answer that has had all the tokens that it may have. */
  private lastChunk({ frame }: Pick<DeliveredText, 'frame'>): Buffer {
    const choices = [{ index: 0, delta: {}, logprobs: null, finish_reason: 'length' }];
    const usage = this.includeUsage ? { usage: null } : {};
    const resumed = this.resumed > 0 ? { x_xim_resumed: this.resumed } : {};
    const chunk = { ...frame, choices, ...usage, ...resumed };
    return Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`);
  }

  /** Tokens in the first chunks, by who wrote them. */
  private tokensIn(chunks: number): number {
    let [tokens, from] = [0, 0];
    for (const { upTo, tokensPerChunk } of this.spans) {
      const until = Math.min(chunks, upTo);
      if (until > from) tokens += (until - from) * tokensPerChunk;
      from = Math.max(from, until);
    }
    return Math.round(tokens);
  }

  private take(bytes: number): boolean {
    if (this.inAll.bytes + bytes > maxKeptBytesInAll) return false;
    this.inAll.bytes += bytes;
    this.takenBytes += bytes;
    return true;
  }
}
