/**
 * What a client has been given of a stream that broke: read from the very bytes that went out, and
 * only then. The relay passes on whole events alone, so there is no half of one at the end; if
 * there were, it would not count.
 */
import { parseSseEvent, SseSplitter } from '../../lib/text/sse.ts';

export interface DeliveredText {
  /** Members that every chunk of the answer carries, as the first one had them. */
  frame: Record<string, unknown>;
  /** The content of all deltas, joined. May end with half a surrogate pair. */
  text: string;
  /** Chunks of tokens, by how long the text was after each: most engines write one for each. */
  tokenEnds: readonly number[];
  /** The choice has its end; null: it goes on. */
  finishReason: string | null;
  /** What the engine said that the answer used, as it stands there; null: it did not yet. */
  usage: Record<string, unknown> | null;
}

export type ReadDelivered =
  | ({ kind: 'text' } & DeliveredText)
  /** It cannot be continued: see `why`. */
  | { kind: 'unfit'; why: 'unreadable' | 'reasoning' | 'not_text' };

/** Members of a chunk that are of the chunk and not of the answer. */
const ofChunk = new Set(['choices', 'usage', 'x_xim_resumed']);
/** Members of a delta that may stand beside its text without changing what is to be continued. */
const harmless = new Set(['role', 'content', 'reasoning_content', 'reasoning', 'refusal']);
const openThought = '<think>';
const closedThought = '</think>';

/** Reads whole events of a chat completion's stream. */
export function readDelivered(bytes: Buffer): ReadDelivered {
  const reader = new Reader();
  const splitter = new SseSplitter({
    maxEventBytes: bytes.length + 1,
    onEvent: (event) => reader.take(event),
  });
  // What `finish` would give is an event that is not whole.
  splitter.push(bytes);
  return reader.result();
}

class Reader {
  private frame: Record<string, unknown> | undefined;
  private text = '';
  private readonly tokenEnds: number[] = [];
  /** Chunks without text since the last one with some. */
  private unseen = 0;
  private finishReason: string | null = null;
  private usage: DeliveredText['usage'] = null;
  private reasoned = false;
  private unfit: 'unreadable' | 'not_text' | undefined;

  take(event: Buffer): void {
    const { data } = parseSseEvent(event);
    if (data === undefined) return;
    const chunk = objectOf(parsed(data));
    if (chunk === undefined || chunk['error'] !== undefined) {
      this.unfit ??= 'unreadable';
      return;
    }
    this.frame ??= Object.fromEntries(Object.entries(chunk).filter(([name]) => !ofChunk.has(name)));
    this.usage = objectOf(chunk['usage']) ?? this.usage;
    const choices = Array.isArray(chunk['choices']) ? (chunk['choices'] as unknown[]) : [];
    for (const choice of choices) this.choice(objectOf(choice) ?? {});
  }

  result(): ReadDelivered {
    const { frame, text, tokenEnds, finishReason, usage } = this;
    if (this.unfit !== undefined) return { kind: 'unfit', why: this.unfit };
    if (frame === undefined) return { kind: 'unfit', why: 'unreadable' };
    const isThinking = text === '' ? this.reasoned : hasOpenThought(text);
    if (isThinking && finishReason === null) return { kind: 'unfit', why: 'reasoning' };
    return { kind: 'text', frame, text, tokenEnds, finishReason, usage };
  }

  private choice(choice: Record<string, unknown>): void {
    const delta = objectOf(choice['delta']) ?? {};
    if ((choice['index'] ?? 0) !== 0 || Object.keys(delta).some((name) => !harmless.has(name))) {
      this.unfit ??= 'not_text';
    }
    if (typeof delta['refusal'] === 'string') this.unfit ??= 'not_text';
    const { content, reasoning_content: older, reasoning = older } = delta;
    const thinks = typeof reasoning === 'string' && reasoning !== '';
    if (thinks) this.reasoned = true;
    if (typeof content === 'string') this.text += content;
    const reason = choice['finish_reason'];
    if (typeof reason === 'string') this.finishReason = reason;
    const isText = thinks || (typeof content === 'string' && content !== '');
    if (isText) this.token();
    else if (content === '' && delta['role'] === undefined && typeof reason !== 'string') {
      this.unseen += 1;
    }
  }

  /** A chunk without text is a token of the character that the next text brings. */
  private token(): void {
    for (; this.unseen >= 0; this.unseen -= 1) this.tokenEnds.push(this.text.length);
    this.unseen = 0;
  }
}

function hasOpenThought(text: string): boolean {
  return text.lastIndexOf(openThought) > text.lastIndexOf(closedThought);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON is an answer of its own; there is no way to ask but to try.
    return undefined;
  }
}

function objectOf(value: unknown): Record<string, unknown> | undefined {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
  return value as Record<string, unknown>;
}
