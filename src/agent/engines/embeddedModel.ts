/**
 * One model in memory: weights, a context with its slots, the batch that drives them. Loading
 * measures how much of a prompt fits into a step (B2 of `embeddedBatch.ts`).
 */
import type * as llamaLibrary from 'node-llama-cpp';
import type { Llama, LlamaContext, LlamaContextSequence, LlamaModel } from 'node-llama-cpp';
import type { Clock } from '../../lib/clock.ts';
import {
  embeddedBatchTokens,
  embeddedContextMemoryShare,
  embeddedContextTokens,
  embeddedLeastContextTokens,
  embeddedLeastPrefill,
  embeddedSlots,
  embeddedStepMs,
} from '../limits.ts';
import { EmbeddedBatch } from './embeddedBatch.ts';
import { createPromptBuilder, type PromptBuilder } from './embeddedPrompt.ts';
import type { LoadProgress, LoadRequest } from './engine.ts';

export type LlamaModule = typeof llamaLibrary;

export interface EmbeddedModel {
  readonly library: LlamaModule;
  readonly model: LlamaModel;
  readonly batch: EmbeddedBatch;
  readonly prompts: PromptBuilder;
  readonly slots: number;
  /** Tokens of prompt and answer together, per request. */
  readonly contextTokens: number;
  readonly abilities: readonly string[];
  dispose(): Promise<void>;
}

export interface LoadTools {
  library: LlamaModule;
  llama: Llama;
  clock: Clock;
  /** Memory that this process may still take, in bytes. */
  availableMemoryBytes: () => number;
  progress: LoadProgress;
  signal: AbortSignal;
}

export type LoadedModel =
  | { kind: 'loaded'; model: EmbeddedModel }
  | { kind: 'failed'; message: string; retry: boolean };

/** Share of the progress that the file takes; context and probe are the rest. */
const fileShare = 0.8;

/** Loads a model. Rejects only when the signal aborts. */
export async function loadEmbeddedModel(
  request: LoadRequest,
  tools: LoadTools,
): Promise<LoadedModel> {
  const { file, desired } = request;
  if (file === undefined) throw new Error('the embedded engine was given no file');
  let model: LlamaModel;
  try {
    model = await tools.llama.loadModel({
      modelPath: file.path,
      gpuLayers: 0,
      loadSignal: tools.signal,
      onLoadProgress: (fraction) => tools.progress(fraction * fileShare),
    });
  } catch (error) {
    tools.signal.throwIfAborted();
    const message = `llama.cpp cannot load ${desired.name}: ${sentence(error)}`;
    return { kind: 'failed', message, retry: false };
  }
  try {
    return { kind: 'loaded', model: await makeReady(model, request, tools) };
  } catch (error) {
    await model.dispose();
    tools.signal.throwIfAborted();
    const message = `There is no room in memory for the context of ${desired.name}`;
    return { kind: 'failed', message: `${message}: ${sentence(error)}`, retry: true };
  }
}

async function makeReady(
  model: LlamaModel,
  request: LoadRequest,
  tools: LoadTools,
): Promise<EmbeddedModel> {
  const shape = chooseShape({
    cores: tools.llama.cpuMathCores,
    maxSlots: request.maxSlots,
    wantedTokens: request.desired.contextLength,
    trainedTokens: model.trainContextSize,
    memoryBytes: tools.availableMemoryBytes() * embeddedContextMemoryShare,
    bytesPerToken: bytesPerToken(model),
  });
  const context = await model.createContext({
    sequences: shape.slots,
    contextSize: shape.contextTokens,
    batchSize: embeddedBatchTokens,
    threads: tools.llama.maxThreads,
    createSignal: tools.signal,
  });
  tools.progress((1 + fileShare) / 2);
  const sequences = Array.from({ length: shape.slots }, () => context.getSequence());
  const budget = await measureBudget(model, sequences, tools.clock);
  tools.signal.throwIfAborted();
  const { clock } = tools;
  const batch = new EmbeddedBatch({
    model,
    sequences,
    clock,
    budget,
    mostTokens: context.batchSize,
  });
  return assemble({ library: tools.library, model, context, batch });
}

function assemble(parts: {
  library: LlamaModule;
  model: LlamaModel;
  context: LlamaContext;
  batch: EmbeddedBatch;
}): EmbeddedModel {
  const { library, model, context, batch } = parts;
  // The library shifts a context that is full; one token less is what it really holds.
  const contextTokens = context.contextSize - 1;
  const prompts = createPromptBuilder(model, contextTokens);
  const chat = prompts.canChat ? ['chat', 'json', 'json_schema'] : [];
  return {
    library,
    model,
    batch,
    prompts,
    contextTokens,
    slots: context.totalSequences,
    abilities: [...chat, 'completions', ...(prompts.canContinue ? ['continue'] : [])],
    async dispose() {
      await context.dispose();
      await model.dispose();
    },
  };
}

/** How many slots, and how long a context each has. */
export function chooseShape(facts: {
  cores: number;
  /** From CONFIG; 0 = no wish. */
  maxSlots: number;
  /** From the catalogue; null = no wish. */
  wantedTokens: number | null;
  trainedTokens: number;
  memoryBytes: number;
  bytesPerToken: number;
}): { slots: number; contextTokens: number } {
  const { least, most } = embeddedSlots;
  const byCores = Math.min(most, Math.max(least, 2 * facts.cores));
  const wished = facts.maxSlots === 0 ? byCores : Math.min(byCores, facts.maxSlots);
  const longest = Math.min(facts.wantedTokens ?? embeddedContextTokens, facts.trainedTokens);
  const affordable = Math.floor(facts.memoryBytes / facts.bytesPerToken);
  // Short of memory, contexts get shorter down to half of what was wished, then slots get fewer.
  let slots = wished;
  while (slots > 1 && affordable / slots < longest / 2) slots -= 1;
  const perSlot = Math.min(longest, Math.floor(affordable / slots));
  const least256 = Math.max(embeddedLeastContextTokens, Math.floor(perSlot / 256) * 256);
  return { slots, contextTokens: Math.min(least256, Math.max(longest, 256)) };
}

/** Memory (KV, f16) that one token of context takes. */
function bytesPerToken(model: LlamaModel): number {
  const {
    embedding_length: width = 4096,
    block_count: layers = 32,
    attention,
  } = model.fileInfo.architectureMetadata;
  const heads = attention?.head_count;
  const kvHeads = attention?.head_count_kv;
  const headCount = typeof heads === 'number' ? heads : 1;
  const kvHeadCount = typeof kvHeads === 'number' ? kvHeads : headCount;
  const perHead = width / headCount;
  const keys = attention?.key_length ?? perHead;
  const values = attention?.value_length ?? perHead;
  return layers * kvHeadCount * (keys + values) * 2;
}

/** Tokens that fit into one step, measured on the machine as it is now. */
async function measureBudget(
  model: LlamaModel,
  sequences: readonly LlamaContextSequence[],
  clock: Clock,
): Promise<number> {
  const sequence = sequences[0];
  const token = model.tokens.bos ?? model.tokens.eos ?? model.tokenize('a')[0];
  if (sequence === undefined || token === undefined || token === null) return embeddedLeastPrefill;
  const piece = Array.from({ length: 2 * embeddedLeastPrefill }, () => token);
  let fastestMs = Number.POSITIVE_INFINITY;
  // The first batch also pages the weights in; the best of three is what the machine can do.
  for (let round = 0; round < 3; round += 1) {
    const startedAtMs = clock.monotonic();
    await sequence.evaluateWithoutGeneratingNewTokens(piece);
    fastestMs = Math.min(fastestMs, clock.monotonic() - startedAtMs);
  }
  await sequence.clearHistory();
  const fitting = Math.floor((piece.length * embeddedStepMs) / Math.max(fastestMs, 0.1));
  return Math.min(embeddedBatchTokens, Math.max(embeddedLeastPrefill, fitting));
}

/** The first sentence of an error, without paths. */
export function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = text.split('\n')[0] ?? '';
  const plain = line.replace(/(?<![\w/])(?:\/[\w.@+-]+){2,}/g, '[path]').slice(0, 300);
  return /[.!?]$/.test(plain) ? plain : `${plain}.`;
}
