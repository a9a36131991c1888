/**
 * Receipts as a trace that the simulator replays: one JSON object a line, oldest first. Lengths,
 * times and outcomes are as they were; projects, endpoints, models and agents have numbers, and the
 * blocks of prompts, too, anew in each export and apart for each project and model: the keyed
 * hashes themselves never leave (T2). What was refused by a limit was never offered to the fleet,
 * and is left out.
 */
import { maxExportedBlocks } from '../limits.ts';
import type { Receipt } from './receipt.ts';

/** One line. Times in ms. */
export interface ReceiptLine {
  /** Version of the format. */
  xim_receipt: 1;
  /** Arrival, epoch. */
  timestamp: number;
  project: string;
  endpoint: string;
  model: string;
  tier: string;
  stream: boolean;
  /** As the engine counted; as estimated where it did not. Null: nothing is known. */
  input_length: number | null;
  output_length: number | null;
  cached_tokens: number | null;
  body_bytes: number;
  /** Blocks of its beginning, each with all before it; equal ones are equal beginnings. */
  hash_ids: number[];
  block_bytes: number;
  outcome: string;
  wait_ms: number;
  /** Since the arrival; null: it had no first byte. */
  ttft_ms: number | null;
  latency_ms: number;
  attempts: {
    agent: string;
    shared: boolean;
    /** Since the arrival. */
    at_ms: number;
    /** Since the dispatch. */
    first_byte_ms: number | null;
    ended_ms: number | null;
    end: string;
  }[];
}

const neverOffered = new Set([
  'rate_limit_exceeded',
  'concurrency_exceeded',
  'insufficient_quota',
  'unsupported_parameter',
]);

export class ReceiptExport {
  private readonly names = new Map<string, string>();
  private readonly counts = new Map<string, number>();
  /** By project and model. */
  private readonly blocks = new Map<string, Map<number, number>>();
  private known = 0;
  private nextBlock = 0;

  /** Undefined: it was never offered to the fleet. */
  line(receipt: Receipt): ReceiptLine | undefined {
    if (neverOffered.has(receipt.outcome)) return undefined;
    const { projectId, modelId } = receipt;
    const last = receipt.attempts.at(-1);
    const scope = `${projectId}|${modelId}`;
    return {
      xim_receipt: 1,
      timestamp: receipt.startedAtMs,
      project: this.numbered('p', projectId),
      endpoint: this.numbered('e', receipt.endpointId),
      model: this.numbered('m', modelId),
      tier: receipt.tier,
      stream: receipt.stream,
      input_length: receipt.inputTokens ?? last?.promptTokens ?? null,
      output_length: receipt.outputTokens ?? last?.answerTokens ?? null,
      cached_tokens: receipt.cachedTokens,
      body_bytes: receipt.bodyBytes,
      hash_ids: receipt.blocks.map((block) => this.blockOf(scope, block)),
      block_bytes: receipt.blockBytes,
      outcome: receipt.outcome,
      wait_ms: receipt.queueMs,
      ttft_ms: receipt.ttftMs,
      latency_ms: receipt.latencyMs,
      attempts: receipt.attempts.map((attempt) => ({
        agent: this.numbered('a', attempt.agent.id),
        shared: attempt.agent.projectId === null,
        at_ms: attempt.atMs,
        first_byte_ms: attempt.firstByteMs,
        ended_ms: attempt.endedMs,
        end: attempt.end,
      })),
    };
  }

  private numbered(kind: string, id: string): string {
    const key = `${kind}|${id}`;
    const known = this.names.get(key);
    if (known !== undefined) return known;
    const count = (this.counts.get(kind) ?? 0) + 1;
    this.counts.set(kind, count);
    this.names.set(key, `${kind}${count}`);
    return `${kind}${count}`;
  }

  private blockOf(scope: string, block: number): number {
    const ofScope = this.blocks.get(scope) ?? new Map<number, number>();
    this.blocks.set(scope, ofScope);
    const known = ofScope.get(block);
    if (known !== undefined) return known;
    if (this.known >= maxExportedBlocks) this.forgetBlocks();
    this.known += 1;
    this.nextBlock += 1;
    ofScope.set(block, this.nextBlock);
    return this.nextBlock;
  }

  /** R6: what comes after this shares nothing with what came before. */
  private forgetBlocks(): void {
    for (const ofScope of this.blocks.values()) ofScope.clear();
    this.known = 0;
  }
}
