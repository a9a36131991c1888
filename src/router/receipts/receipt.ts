/**
 * The receipt of one request: why it went where it went, and what came of it. As the router keeps
 * it, with agents by name; what a project may see of them is decided where it is shown (T3).
 */
import type { Stage } from '../../domain/agents/matching.ts';
import type { OutReason } from '../../domain/explaining/decision.ts';

/** An agent as it was when the receipt was written. */
export interface ReceiptAgent {
  id: string;
  name: string;
  region: string;
  /** Null: a shared one. */
  projectId: string | null;
}

/** Who could not be taken: counts by reason, and the nearest misses. */
export interface ReceiptMisses {
  counts: Partial<Record<OutReason, number>>;
  nearest: { agent: ReceiptAgent; reason: OutReason }[];
}

/** One that could have been taken. Times in ms; null: nothing is known of such machines. */
export interface ReceiptCandidate {
  agent: ReceiptAgent;
  /** The smallest wins. */
  costMs: number | null;
  /** What the cost is made of: network and engine, prompts ahead, its own prompt. */
  otherMs: number | null;
  aheadMs: number | null;
  ownMs: number | null;
  /** Decoding, as far as it counts, and the price of the region. */
  decodeMs: number;
  regionMs: number;
  /** Prompt tokens that it would have had to compute, and those that were ahead. */
  ownTokens: number;
  aheadTokens: number;
  inFlight: number;
  /** First tokens that its model was learned from. */
  samples: number;
}

/** One dispatch. Times in ms. */
export interface ReceiptAttempt {
  agent: ReceiptAgent;
  tier: string;
  stage: Stage;
  /** `scored`: it was the cheapest of those that were open. `turn`: it opened first. */
  how: 'scored' | 'turn';
  /** It was asked beside the one before, whose first byte was late. */
  hedge: boolean;
  /** Since the arrival of the request. */
  atMs: number;
  /** Tokens, as estimated when it was dispatched. */
  promptTokens: number;
  ownTokens: number;
  answerTokens: number;
  /** From the dispatch to the first byte. */
  predicted: { ttftMs: number; p90Ms: number } | null;
  /** Since the dispatch; null: none came. */
  firstByteMs: number | null;
  /** Since the dispatch; null: it runs. */
  endedMs: number | null;
  /**
   * `served`, empty while it runs, or why it ended: a code of the link; `hedged`: of two that were
   * asked the other one was quicker.
   */
  end: string;
  /** All candidates; the first eight follow, the one that was taken first. */
  counted: number;
  candidates: ReceiptCandidate[];
  out: ReceiptMisses;
}

/** How long it waited, and what was said of it when it began to. */
export interface ReceiptWait {
  /** 1: the next one. */
  position: number;
  predictedMs: number | null;
}

export interface Receipt {
  requestId: string;
  projectId: string;
  endpointId: string;
  endpointSlug: string;
  apiKeyId: string;
  modelId: string;
  /** The tier that served; the endpoint's own where nobody did. */
  tier: string;
  /** Which region was asked for; null: none. */
  region: string | null;
  /** Epoch ms. */
  startedAtMs: number;
  bodyBytes: number;
  stream: boolean;
  maxTokens: number | null;
  /** Keyed hashes of the beginning of its prompt, 48 bits each; none: nothing was looked at. */
  blocks: number[];
  blockBytes: number;
  outcome: string;
  status: number;
  queueMs: number;
  ttftMs: number | null;
  latencyMs: number;
  inputTokens: number | null;
  cachedTokens: number | null;
  outputTokens: number | null;
  costMicros: number;
  /** How often another agent went on with the answer. */
  resumed: number;
  /** Null: it did not wait. */
  wait: ReceiptWait | null;
  /** The one that it depended on last comes last; in the order of `atMs` but for hedges. */
  attempts: ReceiptAttempt[];
  /** Of a request that nobody served; and of others, who could never have served it. */
  out: ReceiptMisses;
}
