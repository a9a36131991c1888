/**
 * How long a step of the engine takes: the linear operations by their tokens, the attention of
 * decoding by the context it reads, the attention of prefill by what its chunks look back on, and a
 * constant.
 *
 * The linear part is interpolated from measured operation times of Llama-3-8B on one A100 (source:
 * microsoft/vidur, profiling data of its compute operations).
 */
import { maxStepTokens } from '../limits.ts';

/** Tokens in the step, ms of all layers together. */
const measured: readonly (readonly [tokens: number, ms: number])[] = [
  [1, 9.7],
  [16, 10.1],
  [32, 10.9],
  [64, 11.2],
  [128, 13.2],
  [256, 19.5],
  [512, 34.6],
  [1024, 75.1],
  [2048, 145.6],
  [4096, 273.6],
];

const msPerContextToken = 82e-6;
const msPerPrefillPair = 3.5e-6;
const constantMs = 3;

export interface Step {
  /** Decoding sequences and tokens of chunks; 1 to `maxStepTokens`. */
  tokens: number;
  /** Σ context of the decoding sequences. */
  contextTokens: number;
  /** Σ chunk × (done before it + chunk / 2). */
  prefillPairs: number;
}

/** In ms, on a machine that is not slowed. */
export function stepMs({ tokens, contextTokens, prefillPairs }: Step): number {
  const linear = linearTable[tokens] ?? linearMs(tokens);
  return linear + msPerContextToken * contextTokens + msPerPrefillPair * prefillPairs + constantMs;
}

function linearMs(tokens: number): number {
  const above = measured.findIndex(([known]) => known >= tokens);
  const [highTokens, highMs] = measured[above === -1 ? measured.length - 1 : above] ?? [1, 0];
  const [lowTokens, lowMs] = measured[Math.max(0, above - 1)] ?? [1, 0];
  if (highTokens <= lowTokens) return highMs;
  return lowMs + ((highMs - lowMs) * (tokens - lowTokens)) / (highTokens - lowTokens);
}

const linearTable = Float64Array.from({ length: maxStepTokens + 1 }, (_none, tokens) =>
  linearMs(Math.max(1, tokens)),
);
