/**
 * The stream of an agent that continues an answer, made into the rest of the stream that the client
 * has begun to read. Parsed event by event: this is not the hot path.
 *
 * Invariants
 * R3 Text goes through the seam, once; what the client has had is not repeated.
 * N3 Each token that is new to the client has a chunk: whoever goes on counts them.
 * R7 What comes out are whole events. The last choice chunk, and a usage chunk behind it, carry
 *    `x_xim_resumed`. `[DONE]` is left to whoever ends the answer.
 */
import { parseSseEvent, SseSplitter } from '../../lib/text/sse.ts';
import { maxHeldEventBytes } from '../limits.ts';
import { promptTokens, type PromptPart } from './promptTokens.ts';
import type { Seam } from './seam.ts';

export interface ResumedStreamOptions extends PromptPart {
  /** `id`, `created`, `model` and whatever else the first chunk had. */
  frame: Record<string, unknown>;
  seam: Seam;
  /** How often the answer was resumed, this time included. */
  resumed: number;
  /** The client has had nothing of an answer: whatever comes is new to it. */
  isAnew: boolean;
  includeUsage: boolean;
}

/**
 * `going`: more may come. `stopped`: a stop string was completed, the answer is over and the engine
 * is to be stopped. `unreadable`: it cannot be gone on with.
 */
export type ResumedPhase = 'going' | 'finished' | 'stopped' | 'unreadable';

type Fields = Record<string, unknown>;

export interface TokenCounts {
  input: number;
  cached: number;
  output: number;
}

export class ResumedStream {
  phase: ResumedPhase = 'going';
  private readonly options: ResumedStreamOptions;
  private readonly splitter: SseSplitter;
  private out = '';

  constructor(options: ResumedStreamOptions) {
    this.options = options;
    const onEvent = (event: Buffer): void => this.take(event);
    this.splitter = new SseSplitter({ maxEventBytes: maxHeldEventBytes, onEvent });
  }

  /** Takes bytes of the agent's and gives those for the client, which may be none. */
  push(chunk: Buffer): Buffer {
    if (this.splitter.push(chunk) === 'event_too_large') this.phase = 'unreadable';
    const out = Buffer.from(this.out);
    this.out = '';
    return out;
  }

  /**
   * The usage chunk of an answer that ended at a stop string, before its engine could send one;
   * undefined: the client did not ask for it.
   */
  usageOf(counts: TokenCounts): Buffer | undefined {
    const { frame, resumed, includeUsage } = this.options;
    return includeUsage ? usageChunk(frame, { counts, resumed }) : undefined;
  }

  private take(event: Buffer): void {
    if (this.phase === 'stopped' || this.phase === 'unreadable') return;
    const { data } = parseSseEvent(event);
    if (data === undefined || data === '[DONE]') return;
    const chunk = parsed(data);
    if (chunk === undefined) {
      this.phase = 'unreadable';
    } else if (chunk['error'] !== undefined) {
      this.write(chunk);
    } else if (Array.isArray(chunk['choices']) && chunk['choices'].length > 0) {
      this.choice(chunk, chunk['choices'][0] as Fields);
    } else if (chunk['usage'] !== undefined) {
      this.usage(chunk);
    }
  }

  private choice(chunk: Fields, choice: Fields): void {
    if (this.phase !== 'going') return;
    const { seam, resumed, isAnew } = this.options;
    const { content, role, ...rest } = (choice['delta'] ?? {}) as Fields;
    const reason = choice['finish_reason'];
    const ends = typeof reason === 'string';
    let text = typeof content === 'string' ? seam.push(content) : '';
    if (ends && !seam.stopped) text += seam.flush();
    // The role was said by the first agent, and what comes beside text in front of that.
    const beside = isAnew ? rest : {};
    // A token without text of its own, here or because it is held back, keeps its chunk (N3).
    const isToken = role === undefined && !ends && (content === '' || seam.isHolding);
    const delta = text === '' && !isToken ? beside : { ...beside, content: text };
    if (Object.keys(delta).length > 0) this.write(this.chunkOf(chunk, { delta, reason: null }));
    if (!ends && !seam.stopped) return;
    this.phase = seam.stopped ? 'stopped' : 'finished';
    const last = this.chunkOf(chunk, { delta: {}, reason: seam.stopped ? 'stop' : reason });
    this.write({ ...last, x_xim_resumed: resumed });
  }

  private chunkOf(chunk: Fields, how: { delta: Fields; reason: unknown }): Fields {
    const choice = { index: 0, delta: how.delta, logprobs: null, finish_reason: how.reason };
    // What an engine counted so far is not what the whole answer came to.
    const usage = chunk['usage'] === undefined ? {} : { usage: null };
    return { ...chunk, ...this.options.frame, choices: [choice], ...usage };
  }

  private usage(chunk: Fields): void {
    const { frame, resumed, includeUsage } = this.options;
    const counted = (chunk['usage'] ?? null) as Fields | null;
    if (!includeUsage || counted === null) return;
    const usage = joinedUsage(counted, this.options);
    this.write({ ...chunk, ...frame, choices: [], usage, x_xim_resumed: resumed });
  }

  private write(event: Fields): void {
    this.out += `data: ${JSON.stringify(event)}\n\n`;
  }
}

/** A usage chunk of the router's own, for an answer whose engine could not send one any more. */
export function usageChunk(
  frame: Fields,
  { counts, resumed }: { counts: TokenCounts; resumed: number },
): Buffer {
  const { input, cached, output } = counts;
  const usage = {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cached },
  };
  const times = resumed > 0 ? { x_xim_resumed: resumed } : {};
  return Buffer.from(`data: ${JSON.stringify({ ...frame, choices: [], usage, ...times })}\n\n`);
}

/** The prompt once, and the whole answer. */
function joinedUsage(counted: Fields, part: PromptPart): Fields {
  const { prompt_tokens: prompt, completion_tokens: completion } = counted;
  const input = promptTokens(Number(prompt), part);
  const output = Number(completion) + part.sentTokens;
  const details = (counted['prompt_tokens_details'] ?? {}) as Fields;
  const cached = Math.min(input, Number(details['cached_tokens'] ?? 0));
  return {
    ...counted,
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { ...details, cached_tokens: cached },
  };
}

function parsed(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' ? (value as Fields) : undefined;
  } catch {
    // Not JSON is an answer of its own; there is no way to ask but to try.
    return undefined;
  }
}
