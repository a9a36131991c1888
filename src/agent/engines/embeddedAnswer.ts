/** One request at the embedded engine: body, prompt, tokens, text, OpenAI's shapes. */
import { randomInt, type Random } from '../../lib/random.ts';
import type { BatchEnd } from './embeddedBatch.ts';
import type { EmbeddedModel } from './embeddedModel.ts';
import {
  readGeneration,
  refusedBody,
  type GenerationRequest,
  type PromptSource,
} from './embeddedRequest.ts';
import { StopFilter, TokenText } from './embeddedText.ts';
import type { EngineEnd, EngineRequest, EngineSink, EngineUsage, JsonObject } from './engine.ts';
import type { SequenceEvaluateOptions, Token } from 'node-llama-cpp';

export interface AnswerTools {
  model: EmbeddedModel;
  sink: EngineSink;
  signal: AbortSignal;
  random: Random;
}

/** Answers a request. Never rejects (E1). */
export async function answerRequest(
  request: EngineRequest,
  tools: AnswerTools,
): Promise<EngineEnd> {
  try {
    return await answer(request, tools);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { kind: 'failed', reason: 'engine_failed', detail };
  }
}

async function answer(request: EngineRequest, tools: AnswerTools): Promise<EngineEnd> {
  const { model, signal } = tools;
  if (signal.aborted) return { kind: 'cancelled' };
  const read = readGeneration(request);
  if (read.kind === 'refused') return read;
  const prompt = model.prompts.build(read.request.prompt);
  if (prompt.kind === 'refused') return refusedBody('invalid_value', prompt.param, prompt.message);
  const limit = model.contextTokens;
  if (prompt.kind === 'too_long' || prompt.tokens.length > limit) {
    const count = prompt.kind === 'too_long' ? `more than ${limit}` : `${prompt.tokens.length}`;
    const message =
      `This model's maximum context length is ${limit} tokens. ` +
      `However, your messages resulted in ${count} tokens. Please shorten them.`;
    return refusedBody('context_length_exceeded', 'messages', message);
  }
  const writer = new AnswerWriter(request, tools, {
    stops: read.request.stops,
    before: goesOn(read.request.prompt) ? prompt.tokens : [],
  });
  const options = await samplingOptions(read.request, tools, writer);
  if ('kind' in options) return options;
  const room = limit - prompt.tokens.length + 1;
  const end = await model.batch.run({
    prompt: prompt.tokens,
    options,
    maxTokens: Math.min(read.request.maxTokens ?? room, room),
    cacheSalt: request.cacheSalt,
    signal,
    onToken: (token) => writer.onToken(token),
  });
  if (end === undefined) {
    return { kind: 'failed', reason: 'engine_failed', detail: 'no slot was free' };
  }
  return writer.finish(end);
}

async function samplingOptions(
  request: GenerationRequest,
  tools: AnswerTools,
  writer: AnswerWriter,
): Promise<SequenceEvaluateOptions | Extract<EngineEnd, { kind: 'refused' }>> {
  const { model } = tools.model;
  const { sampling, grammar } = request;
  const { frequencyPenalty, presencePenalty } = sampling;
  const options: SequenceEvaluateOptions = {
    temperature: sampling.temperature,
    topP: sampling.topP,
    topK: sampling.topK,
    minP: sampling.minP,
    seed: sampling.seed ?? randomInt(tools.random, 2 ** 32),
    yieldEogToken: true,
  };
  if (frequencyPenalty !== 0 || presencePenalty !== 0) {
    // Over what was generated alone, as OpenAI defines them.
    options.repeatPenalty = {
      penalty: 1,
      frequencyPenalty,
      presencePenalty,
      punishTokens: () => writer.generated,
    };
  }
  if (grammar === undefined) return options;
  try {
    const compiled = await model.llama.createGrammar({ grammar });
    const { LlamaGrammarEvaluationState } = tools.model.library;
    options.grammarEvaluationState = new LlamaGrammarEvaluationState({ model, grammar: compiled });
    return options;
  } catch {
    // llama.cpp is the judge of grammars, for instance of a schema that is nothing but itself.
    const message = 'The schema cannot be made into a grammar of the embedded engine.';
    return refusedBody('unsupported_value', 'response_format', message);
  }
}

/**
 * Whether an answer continues a text: then the space that some tokenisers put in front of a word is
 * part of it.
 */
function goesOn(prompt: PromptSource): boolean {
  return prompt.kind !== 'chat' || prompt.continueFinal;
}

/** Gathers or streams the text of one answer. */
class AnswerWriter {
  readonly generated: Token[] = [];
  private readonly stream: boolean;
  private readonly chat: boolean;
  private readonly sink: EngineSink;
  private readonly text: TokenText;
  private readonly stops: StopFilter;
  private whole = '';
  /** False while the reader is behind (E3). */
  private ready = true;

  constructor(
    request: EngineRequest,
    tools: AnswerTools,
    how: { stops: readonly string[]; before: readonly Token[] },
  ) {
    const { model } = tools.model;
    this.stream = request.stream;
    this.chat = request.path === '/v1/chat/completions';
    this.sink = tools.sink;
    this.stops = new StopFilter(how.stops);
    this.text = new TokenText(
      (tokens, before) =>
        model.detokenize(tokens as readonly Token[], false, before as readonly Token[]),
      how.before,
    );
  }

  onToken(token: Token): 'go_on' | 'stop' | { wait: Promise<void> } {
    this.generated.push(token);
    const piece = this.stops.push(this.text.push(token));
    // Whoever goes on with the answer elsewhere counts chunks: each token has one.
    if (piece !== '' || this.stops.met) this.emit(piece);
    else if (this.stream) this.ready = this.sink.write(this.chunk('', null));
    if (this.stops.met) return 'stop';
    return this.ready ? 'go_on' : { wait: this.whenReady() };
  }

  async finish(end: BatchEnd): Promise<EngineEnd> {
    const { usage } = end;
    if (end.kind === 'cancelled') return { kind: 'cancelled', usage };
    if (end.kind === 'failed') {
      return { kind: 'failed', reason: 'engine_failed', detail: end.detail, usage };
    }
    await this.whenReady();
    const rest = this.stops.push(this.text.flush());
    this.emit(this.stops.met ? rest : rest + this.stops.flush());
    await this.whenReady();
    const reason = this.stops.met ? 'stop' : end.reason;
    this.sink.write(this.stream ? this.chunk('', reason) : this.answer(reason, usage));
    return { kind: 'completed', usage };
  }

  private emit(piece: string): void {
    if (piece === '') return;
    if (this.stream) this.ready = this.sink.write(this.chunk(piece, null));
    else this.whole += piece;
  }

  private async whenReady(): Promise<void> {
    if (this.ready) return;
    await this.sink.writable();
    this.ready = true;
  }

  private chunk(piece: string, reason: string | null): JsonObject {
    const isLast = piece === '' && reason !== null;
    const choice = this.chat ? { delta: isLast ? {} : { content: piece } } : { text: piece };
    return { choices: [{ index: 0, ...choice, finish_reason: reason }] };
  }

  private answer(reason: string, usage: EngineUsage): JsonObject {
    const content = this.whole;
    const choice = this.chat ? { message: { role: 'assistant', content } } : { text: content };
    return {
      choices: [{ index: 0, ...choice, finish_reason: reason }],
      usage: {
        prompt_tokens: usage.input,
        completion_tokens: usage.output,
        prompt_tokens_details: { cached_tokens: usage.cached },
      },
    };
  }
}
