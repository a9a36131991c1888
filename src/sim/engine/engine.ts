/**
 * The engine of one machine: continuous batching with chunked prefill, in virtual time.
 *
 * A step decodes one token of every decoding sequence and fills what is left of its tokens with
 * chunks of prompts, first come first served; `stepTime` says how long it takes. A sequence is
 * admitted when the step has tokens left for it, fewer than `maxSequences` run and its whole prompt
 * and output fit; nobody overtakes the first in the line and nothing that runs is thrown out.
 *
 * A sequence: waiting ─▶ prefilling ─▶ decoding ─▶ over; `cancel` and `crash` lead to over from
 * everywhere. The first token comes with the last chunk, one more with each step after it.
 *
 * Nothing is counted per token: the context of all decoding sequences is one sum, and when a
 * sequence will end is known when it begins to decode. A step costs what its chunks and ends cost.
 *
 * Invariants
 * E1 Reserved tokens and cached blocks together never exceed `kvTokens`.
 * E2 A step has at most `maxStepTokens` tokens, and at most `maxSequences` sequences run.
 * E3 Sequences are admitted in the order in which they came.
 * E4 A sequence that is not cancelled gets its first token once and ends once, after exactly its
 *    output's tokens.
 */
import { blockTokens, kvTokens, maxSequences, maxStepTokens } from '../limits.ts';
import { PrefixCache } from './prefixCache.ts';
import { stepMs } from './stepTime.ts';

export interface EngineRequest {
  id: number;
  inputTokens: number;
  outputTokens: number;
  blocks: readonly number[];
}

/** What an engine tells. */
export interface EngineListener {
  admitted(id: number, cachedTokens: number): void;
  firstToken(id: number): void;
  finished(id: number): void;
}

interface Sequence {
  request: EngineRequest;
  phase: 'waiting' | 'prefilling' | 'decoding' | 'over';
  /** Tokens of the prompt that the engine holds. */
  doneTokens: number;
  /** The step that brought its first token. */
  firstStep: number;
}

/** Whether an engine could ever run it. */
export function fits(request: { inputTokens: number; outputTokens: number }): boolean {
  return request.inputTokens + request.outputTokens <= kvTokens;
}

export class Engine {
  private readonly listener: EngineListener;
  private readonly cache = new PrefixCache();
  private readonly sequences = new Map<number, Sequence>();
  private waiting: Sequence[] = [];
  private waitingFrom = 0;
  private prefilling: Sequence[] = [];
  private chunks: { sequence: Sequence; tokens: number }[] = [];
  private readonly ending = new Map<number, Sequence[]>();
  private decoding = 0;
  private contextTokens = 0;
  private reservedTokens = 0;
  private step = 0;
  private admittedCount = 0;
  private slowness: number;

  /** When the step that runs ends, in ms; Infinity: nothing runs. */
  endsAtMs = Infinity;

  constructor(options: { slowness: number; listener: EngineListener }) {
    this.slowness = options.slowness;
    this.listener = options.listener;
  }

  /** Takes a request that `fits`. */
  submit(request: EngineRequest, nowMs: number): void {
    const sequence: Sequence = { request, phase: 'waiting', doneTokens: 0, firstStep: 0 };
    this.sequences.set(request.id, sequence);
    this.waiting.push(sequence);
    if (this.endsAtMs === Infinity) this.startStep(nowMs);
  }

  /** Takes a request out, wherever it is. The step that runs takes as long as it would have. */
  cancel(id: number): void {
    const sequence = this.sequences.get(id);
    if (sequence !== undefined) this.leave(sequence);
  }

  /** Everything is gone, the cache too; whose requests they were, in order. */
  crash(): number[] {
    const lost = [...this.sequences.keys()];
    for (const id of lost) this.cancel(id);
    this.cache.clear();
    this.ending.clear();
    this.prefilling = [];
    this.endsAtMs = Infinity;
    return lost;
  }

  /** From the next step on. */
  slowTo(slowness: number): void {
    this.slowness = slowness;
  }

  /** Ends the step that runs, at `endsAtMs`, and starts the next one. */
  finishStep(): void {
    const nowMs = this.endsAtMs;
    this.step += 1;
    this.contextTokens += this.decoding;
    const ending = this.ending.get(this.step) ?? [];
    this.ending.delete(this.step);
    for (const sequence of ending) if (sequence.phase === 'decoding') this.finish(sequence);
    for (const { sequence, tokens } of this.chunks) {
      if (sequence.phase === 'prefilling') this.advance(sequence, tokens);
    }
    this.prefilling = this.prefilling.filter(({ phase }) => phase === 'prefilling');
    this.startStep(nowMs);
  }

  /** What a heartbeat says. */
  state(): { running: number; waiting: number; kvTokens: number } {
    const running = this.admittedCount;
    return { running, waiting: this.sequences.size - running, kvTokens: this.reservedTokens };
  }

  /** E1, E2 for tests: what is held, counted anew. */
  audit(): { heldTokens: number; reservedTokens: number; contextTokens: number; running: number } {
    const running = [...this.sequences.values()].filter(({ phase }) => phase !== 'waiting');
    const decoding = running.filter(({ phase }) => phase === 'decoding');
    return {
      heldTokens: this.reservedTokens + this.cache.tokens,
      reservedTokens: running.reduce((sum, { request }) => sum + wholeOf(request), 0),
      contextTokens: decoding.reduce((sum, sequence) => sum + this.contextOf(sequence), 0),
      running: running.length,
    };
  }

  private startStep(nowMs: number): void {
    let left = maxStepTokens - this.decoding;
    let prefillPairs = 0;
    this.chunks = [];
    const take = (sequence: Sequence): void => {
      const { doneTokens, request } = sequence;
      const tokens = Math.min(left, request.inputTokens - doneTokens);
      this.chunks.push({ sequence, tokens });
      prefillPairs += tokens * (doneTokens + tokens / 2);
      left -= tokens;
    };
    for (const sequence of this.prefilling) if (left > 0) take(sequence);
    while (left > 0) {
      const next = this.admitNext();
      if (next === null) break;
      take(next);
    }
    const tokens = maxStepTokens - left;
    if (tokens === 0) {
      this.endsAtMs = Infinity;
      return;
    }
    const ms = stepMs({ tokens, contextTokens: this.contextTokens, prefillPairs });
    this.endsAtMs = nowMs + ms * this.slowness;
  }

  /** E1–E3: the first in the line, if it fits. */
  private admitNext(): Sequence | null {
    let next = this.waiting[this.waitingFrom];
    while (next !== undefined && next.phase === 'over') {
      this.waitingFrom += 1;
      next = this.waiting[this.waitingFrom];
    }
    if (next === undefined) {
      this.waiting = [];
      this.waitingFrom = 0;
      return null;
    }
    const { request } = next;
    const reserved = this.reservedTokens + wholeOf(request);
    if (this.admittedCount >= maxSequences || reserved > kvTokens) return null;
    this.waitingFrom += 1;
    // The last token of a prompt is always computed: it brings the first one of the answer.
    const matched = this.cache.match(request.blocks) * blockTokens;
    next.doneTokens = Math.min(matched, request.inputTokens - 1);
    next.phase = 'prefilling';
    this.admittedCount += 1;
    this.reservedTokens = reserved;
    this.cache.shrinkTo(kvTokens - reserved);
    this.prefilling.push(next);
    this.listener.admitted(request.id, next.doneTokens);
    return next;
  }

  private advance(sequence: Sequence, tokens: number): void {
    const { request } = sequence;
    sequence.doneTokens += tokens;
    if (sequence.doneTokens < request.inputTokens) return;
    sequence.phase = 'decoding';
    sequence.firstStep = this.step;
    this.decoding += 1;
    this.contextTokens += this.contextOf(sequence);
    this.listener.firstToken(request.id);
    const lastStep = this.step + request.outputTokens - 1;
    // The listener may have cancelled it; what is over is passed over when its step comes.
    if (lastStep === this.step) this.finish(sequence);
    else {
      const ending = this.ending.get(lastStep);
      if (ending === undefined) this.ending.set(lastStep, [sequence]);
      else ending.push(sequence);
    }
  }

  /** Prompt and what was generated until now. */
  private contextOf(sequence: Sequence): number {
    return sequence.request.inputTokens + 1 + this.step - sequence.firstStep;
  }

  private finish(sequence: Sequence): void {
    if (sequence.phase !== 'decoding') return;
    const { request } = sequence;
    this.leave(sequence);
    const blocks = Math.min(request.blocks.length, Math.ceil(request.inputTokens / blockTokens));
    this.cache.use(request.blocks, blocks);
    this.cache.shrinkTo(kvTokens - this.reservedTokens);
    this.listener.finished(request.id);
  }

  private leave(sequence: Sequence): void {
    const { request, phase } = sequence;
    this.sequences.delete(request.id);
    sequence.phase = 'over';
    if (phase === 'waiting' || phase === 'over') return;
    this.admittedCount -= 1;
    this.reservedTokens -= wholeOf(request);
    if (phase === 'prefilling') return;
    this.decoding -= 1;
    this.contextTokens -= this.contextOf(sequence);
  }
}

function wholeOf(request: EngineRequest): number {
  return request.inputTokens + request.outputTokens;
}
