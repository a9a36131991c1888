/**
 * Scripts of fake agents whose answer is the last user's message, as a wire-final stream. They go
 * on from the open turn that they are sent and know nothing else of what was answered before: their
 * template trims that turn, and they read it as UTF-8.
 */
import type { FakeRequest, Script } from './fakeAgent.ts';

export interface ContinuingOptions {
  /** UTF-16 units of each chunk: a surrogate pair may be torn. */
  size?: number;
  /** Chunks of text before `next` happens; none: the answer goes to its end. */
  chunks?: number;
  next?: Script;
  /** It guesses several tokens ahead, and writes them at once. */
  tokensPerChunk?: number;
  /** What it counts of the prompt without an open turn; by default ten. */
  promptTokens?: number;
  /** What it counts of an open turn; by default as many tokens as it has chunks of that text. */
  turnTokens?: number;
  /** It shows the beginning of a stop string before it knows; by default it does not. */
  showsStops?: boolean;
}

interface Body {
  messages: { role: string; content: string }[];
  continue_final_message?: boolean;
  max_tokens?: number;
  stop?: string[];
}

/** What is left of the answer; undefined where the open turn is no beginning of it. */
function restOf(
  { messages, continue_final_message: open }: Body,
  stop: readonly string[],
): string | undefined {
  const asked = messages.findLast(({ role }) => role === 'user')?.content ?? '';
  const turn = open === true ? (messages.at(-1)?.content ?? '') : '';
  const prompt = Buffer.from(turn.trimEnd()).toString();
  if (!asked.startsWith(prompt)) return undefined;
  const rest = asked.slice(prompt.length);
  const ends = stop.map((one) => rest.indexOf(one)).filter((at) => at >= 0);
  return rest.slice(0, Math.min(rest.length, ...ends));
}

/** In UTF-16 units. */
function openTurnLength({ messages, continue_final_message: open }: Body): number {
  return open === true ? (messages.at(-1)?.content.length ?? 0) : 0;
}

/** Continues, or begins. It counts the prompt, and an open turn. */
export function continues(options: ContinuingOptions = {}): Script {
  const { size = 3, chunks = Infinity, next, showsStops = false, tokensPerChunk = 1 } = options;
  return (request, agent) => {
    const body = JSON.parse(request.body.toString()) as Body;
    const rest = restOf(body, showsStops ? [] : (body.stop ?? []));
    if (rest === undefined) throw new Error(`it is no beginning: ${request.body.toString()}`);
    request.streamHead();
    write(request, { role: 'assistant', content: '', refusal: null });
    const most = Math.min(chunks, (body.max_tokens ?? Infinity) / tokensPerChunk);
    let written = 0;
    for (let at = 0; at < rest.length && written < most; at += size, written += 1) {
      write(request, { content: rest.slice(at, at + size) });
    }
    // What was written leaves at the end of this turn.
    if (next !== undefined)
      return void setImmediate(() => setImmediate(() => void next(request, agent)));
    const isWhole = written * size >= rest.length;
    const output = written * tokensPerChunk;
    write(request, {}, isWhole ? 'stop' : 'length');
    const turn = options.turnTokens ?? Math.ceil(openTurnLength(body) / size) * tokensPerChunk;
    const { promptTokens = 10 } = options;
    const input = promptTokens + (body.continue_final_message === true ? turn : 0);
    if (request.message.includeUsage) writeUsage(request, { input, output });
    request.done();
    request.finish({ usage: { input, cached: 0, output }, written });
  };
}

function frameOf({ message }: FakeRequest): Record<string, unknown> {
  const { requestId, created, model } = message;
  return { id: `chatcmpl-${requestId}`, object: 'chat.completion.chunk', created, model };
}

function write(request: FakeRequest, delta: unknown, reason: string | null = null): void {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: reason }];
  const usage = request.message.includeUsage ? { usage: null } : {};
  const chunk = { ...frameOf(request), choices, ...usage };
  request.stream.write(Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`));
}

function writeUsage(request: FakeRequest, counted: { input: number; output: number }): void {
  const { input, output } = counted;
  const usage = { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
  const chunk = { ...frameOf(request), choices: [], usage };
  request.stream.write(Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`));
}
