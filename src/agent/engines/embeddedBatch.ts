/**
 * Continuous batching over one context: every step is one batch that holds the next token of each
 * running answer and a piece of the prompts that are still being read.
 *
 * Steps are ours and not the library's: all sequences put their tokens into the same batch and wait
 * for it together. Between two steps nothing runs, so that is where requests come, go and are
 * cancelled, and where memory of a sequence is changed.
 *
 * Invariants
 * B1 A sequence serves one request at a time; its memory (KV) is only reused for the same salt.
 * B2 A step has at most `budget` tokens, which follows the measured time so that a step takes about
 *    `embeddedStepMs`: a cancel is noticed after one step at most.
 * B3 A job resolves exactly once, when its sequence is free again.
 */
import type {
  LlamaContextSequence,
  LlamaModel,
  SequenceEvaluateOptions,
  Token,
} from 'node-llama-cpp';
import type { Clock } from '../../lib/clock.ts';
import { embeddedLeastPrefill, embeddedLeastReuse, embeddedStepMs } from '../limits.ts';
import type { EngineUsage } from './engine.ts';

export interface BatchJob {
  prompt: readonly Token[];
  options: SequenceEvaluateOptions;
  /** Tokens that may be generated, at least 1. */
  maxTokens: number;
  /** Separates memory of projects; undefined: nothing is reused. */
  cacheSalt: string | undefined;
  signal: AbortSignal;
  /** A token that is not the end. `wait`: nothing more until the promise is over. */
  onToken(token: Token): 'go_on' | 'stop' | { wait: Promise<void> };
}

export type BatchEnd =
  | { kind: 'completed'; reason: 'stop' | 'length'; usage: EngineUsage }
  | { kind: 'cancelled'; usage: EngineUsage }
  | { kind: 'failed'; detail: string; usage: EngineUsage };

/** Tokens: of a step, in memory now, that fit into memory, and since the model was loaded. */
export interface BatchMetrics {
  batch_tokens: number;
  step_ms: number;
  tokens_held: number;
  tokens_room: number;
  prompt_tokens_total: number;
  output_tokens_total: number;
}

interface Slot {
  sequence: LlamaContextSequence;
  /** Whose memory the sequence holds. */
  salt: string | undefined;
  lastUsed: number;
  busy: boolean;
}

type Tokens = AsyncGenerator<{ token: Token }, unknown, undefined>;

type Phase =
  /** Before its first step. */
  | { kind: 'arrived' }
  /** The prompt, from `at` on. */
  | { kind: 'reading'; at: number }
  | { kind: 'writing'; tokens: Tokens }
  | { kind: 'paused'; tokens: Tokens }
  | { kind: 'over'; end: BatchEnd };

interface Running {
  job: BatchJob;
  slot: Slot;
  phase: Phase;
  cached: number;
  output: number;
  resolve: (end: BatchEnd) => void;
}

/** What one running job does in a step. */
interface Share {
  running: Running;
  tokens: number;
}

export class EmbeddedBatch {
  private readonly model: LlamaModel;
  private readonly clock: Clock;
  private readonly mostTokens: number;
  private readonly slots: Slot[];
  private running: Running[] = [];
  private stepping = false;
  private uses = 0;
  private budget: number;
  private lastStepMs = 0;
  private promptTokens = 0;
  private outputTokens = 0;

  constructor(options: {
    model: LlamaModel;
    sequences: readonly LlamaContextSequence[];
    clock: Clock;
    /** The context's own bound on a batch. */
    mostTokens: number;
    /** Tokens of the first steps. */
    budget: number;
  }) {
    this.model = options.model;
    this.clock = options.clock;
    this.mostTokens = options.mostTokens;
    this.budget = options.budget;
    this.slots = options.sequences.map((sequence) => ({
      sequence,
      salt: undefined,
      lastUsed: 0,
      busy: false,
    }));
  }

  get runningCount(): number {
    return this.running.length;
  }

  get metrics(): BatchMetrics {
    const sum = (of: (sequence: LlamaContextSequence) => number): number =>
      this.slots.reduce((total, { sequence }) => total + of(sequence), 0);
    return {
      batch_tokens: this.budget,
      step_ms: this.lastStepMs,
      tokens_held: sum(({ nextTokenIndex }) => nextTokenIndex),
      tokens_room: sum(({ contextSize }) => contextSize),
      prompt_tokens_total: this.promptTokens,
      output_tokens_total: this.outputTokens,
    };
  }

  /** Runs a job on a free sequence; undefined when there is none. */
  run(job: BatchJob): Promise<BatchEnd> | undefined {
    const slot = this.chooseSlot(job);
    if (slot === undefined) return undefined;
    slot.busy = true;
    return new Promise((resolve) => {
      const phase: Phase = { kind: 'arrived' };
      this.running.push({ job, slot, phase, cached: 0, output: 0, resolve });
      job.signal.addEventListener('abort', () => this.wake(), { once: true });
      this.wake();
    });
  }

  /** The free sequence with the longest usable memory, else the one that was used longest ago. */
  private chooseSlot(job: BatchJob): Slot | undefined {
    const free = this.slots.filter(({ busy }) => !busy);
    const ranked = free.map((slot) => ({ slot, reuse: reusable(slot, job) }));
    ranked.sort((one, other) => other.reuse - one.reuse || one.slot.lastUsed - other.slot.lastUsed);
    return ranked[0]?.slot;
  }

  private wake(): void {
    if (this.stepping) return;
    this.stepping = true;
    // Handled: `steps` turns every failure into the end of a job.
    void this.steps().finally(() => {
      this.stepping = false;
      if (this.running.some((one) => isReady(one))) this.wake();
    });
  }

  private async steps(): Promise<void> {
    for (;;) {
      for (const one of this.running) if (one.job.signal.aborted) cancel(one);
      await this.settle();
      // Before the batch: memory cannot be changed while one runs.
      for (const one of this.running) if (one.phase.kind === 'arrived') await this.prepare(one);
      const shares = this.divide();
      if (shares.length === 0) return;
      const startedAtMs = this.clock.monotonic();
      await Promise.all(shares.map((share) => this.advance(share)));
      this.adapt(shares, this.clock.monotonic() - startedAtMs);
    }
  }

  /** Lets go of jobs that are over (B3). */
  private async settle(): Promise<void> {
    const over = this.running.filter(({ phase }) => phase.kind === 'over');
    if (over.length === 0) return;
    this.running = this.running.filter(({ phase }) => phase.kind !== 'over');
    for (const one of over) {
      one.slot.busy = false;
      one.slot.lastUsed = this.uses += 1;
      if (one.phase.kind !== 'over') continue;
      // A sequence that failed may hold anything.
      if (one.phase.end.kind === 'failed') await one.slot.sequence.clearHistory().catch(() => {});
      one.resolve(one.phase.end);
    }
  }

  /**
   * Who puts how many tokens into the next batch (B2): one for each answer, the rest for prompts.
   */
  private divide(): Share[] {
    const ready = this.running.filter((one) => isReady(one));
    const writing = ready.filter(({ phase }) => phase.kind === 'writing');
    const shares: Share[] = writing.map((running) => ({ running, tokens: 1 }));
    const most = this.mostTokens - shares.length;
    let left = Math.min(most, Math.max(embeddedLeastPrefill, this.budget - shares.length));
    for (const running of ready) {
      if (running.phase.kind === 'writing' || left <= 0) continue;
      const at = running.phase.kind === 'reading' ? running.phase.at : 0;
      const tokens = Math.min(left, running.job.prompt.length - at);
      left -= tokens;
      shares.push({ running, tokens });
    }
    return shares;
  }

  private async advance(share: Share): Promise<void> {
    const { running } = share;
    try {
      if (running.phase.kind === 'reading') await this.read(running, share.tokens);
      else if (running.phase.kind === 'writing') await this.write(running, running.phase.tokens);
    } catch (error) {
      fail(running, error);
    }
  }

  private async prepare(running: Running): Promise<void> {
    try {
      running.cached = await recall(running);
      running.phase = { kind: 'reading', at: running.cached };
    } catch (error) {
      fail(running, error);
    }
  }

  private async read(running: Running, tokens: number): Promise<void> {
    if (running.phase.kind !== 'reading') return;
    const { prompt, options } = running.job;
    const { at } = running.phase;
    const piece = prompt.slice(at, at + tokens) as Token[];
    this.promptTokens += piece.length;
    if (at + piece.length < prompt.length) {
      await running.slot.sequence.evaluateWithoutGeneratingNewTokens(piece);
      running.phase = { kind: 'reading', at: at + piece.length };
      return;
    }
    const generated = running.slot.sequence.evaluateWithMetadata(piece, {}, options) as Tokens;
    running.phase = { kind: 'writing', tokens: generated };
    await this.write(running, generated);
  }

  private async write(running: Running, tokens: Tokens): Promise<void> {
    const next = await tokens.next();
    if (next.done === true) throw new Error('the engine ended an answer by itself');
    const { token } = next.value;
    running.output += 1;
    this.outputTokens += 1;
    const { job } = running;
    if (this.model.isEogToken(token)) return await complete(running, tokens, 'stop');
    const reply = job.onToken(token);
    if (reply === 'stop') return await complete(running, tokens, 'stop');
    if (running.output >= job.maxTokens) return await complete(running, tokens, 'length');
    if (reply !== 'go_on') this.pause(running, tokens, reply.wait);
  }

  private pause(running: Running, tokens: Tokens, until: Promise<void>): void {
    running.phase = { kind: 'paused', tokens };
    // Handled: a reader's `writable` never rejects (E3).
    void until.then(() => {
      if (running.phase.kind === 'paused') running.phase = { kind: 'writing', tokens };
      this.wake();
    });
  }

  /** Follows the measured time with the size of a step. Only full steps say anything. */
  private adapt(shares: readonly Share[], tookMs: number): void {
    this.lastStepMs = tookMs;
    const tokens = shares.reduce((sum, share) => sum + share.tokens, 0);
    if (tookMs > embeddedStepMs && tokens > embeddedLeastPrefill) {
      const fitting = Math.floor(tokens * (embeddedStepMs / tookMs));
      this.budget = Math.max(embeddedLeastPrefill, Math.min(this.budget, fitting));
    } else if (tokens >= this.budget && tookMs < 0.8 * embeddedStepMs) {
      this.budget = Math.min(this.mostTokens, Math.ceil(this.budget * 1.2));
    }
  }
}

/**
 * Tokens of the prompt that a sequence already holds and may be used; the last one never counts.
 */
function reusable(slot: Slot, job: BatchJob): number {
  if (job.cacheSalt === undefined || slot.salt !== job.cacheSalt) return 0;
  const held = slot.sequence.contextTokens;
  const most = Math.min(held.length, job.prompt.length - 1);
  let same = 0;
  while (same < most && held[same] === job.prompt[same]) same += 1;
  return same >= embeddedLeastReuse ? same : 0;
}

/** Brings the sequence's memory to the part that it shares with the prompt (B1); its tokens. */
async function recall({ job, slot }: Running): Promise<number> {
  const reuse = reusable(slot, job);
  const { sequence } = slot;
  const end = sequence.nextTokenIndex;
  if (reuse === 0 && end > 0) await sequence.clearHistory();
  if (reuse > 0 && end > reuse) await sequence.eraseContextTokenRanges([{ start: reuse, end }]);
  slot.salt = job.cacheSalt;
  // Some models keep less than they were asked to; what is there is what counts.
  return sequence.nextTokenIndex;
}

function isReady({ phase, job }: Running): boolean {
  return phase.kind !== 'paused' || job.signal.aborted;
}

function usageOf(running: Running): EngineUsage {
  return { input: running.job.prompt.length, cached: running.cached, output: running.output };
}

function finish(running: Running, end: BatchEnd): void {
  if (running.phase.kind !== 'over') running.phase = { kind: 'over', end };
}

function fail(running: Running, error: unknown): void {
  const detail = error instanceof Error ? error.message : String(error);
  finish(running, { kind: 'failed', detail, usage: usageOf(running) });
}

function cancel(running: Running): void {
  const { phase } = running;
  // Ends the sampler of the answer; nothing of it is running between two steps.
  if (phase.kind === 'writing' || phase.kind === 'paused') void phase.tokens.return(undefined);
  finish(running, { kind: 'cancelled', usage: usageOf(running) });
}

async function complete(
  running: Running,
  tokens: Tokens,
  reason: 'stop' | 'length',
): Promise<void> {
  await tokens.return(undefined);
  finish(running, { kind: 'completed', reason, usage: usageOf(running) });
}
