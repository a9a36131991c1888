/**
 * How many tokens a request will take, before anybody has counted them: learned per endpoint from
 * what engines said of earlier requests, without parsing a body. Own and shared agents have one
 * each (`limitBook`).
 *
 * The prompt is the body's length over a learned number of bytes per token (4 at first); the output
 * is the 90th percentile of earlier ones, out of a histogram whose bounds grow by √2 and whose old
 * samples fade. Both are estimates only: limits settle with real usage.
 */
import {
  fadeOutputsAt,
  firstBytesPerToken,
  maxLearnedEndpoints,
  maxMediaPromptTokens,
  maxReservedOutputTokens,
} from '../limits.ts';

/** What a request says of its size. */
export interface RequestSize {
  endpointId: string;
  bodyBytes: number;
  /** Tokens that it allows the answer to have; null: it does not say. */
  maxTokens: number | null;
  /** Of its model; null: not known. */
  contextLength: number | null;
  /** It carries images or sound, whose bytes say little about tokens. */
  hasMedia: boolean;
}

/** What to set aside for a request. */
export interface TokenNeed {
  /** Its prompt. */
  prompt: number;
  /** An answer as long as they are on the average. */
  answer: number;
  /** Its prompt, and an answer as long as they mostly are. */
  usual: number;
  /**
   * Without a guess about the answer: its prompt, and what it asks for. What is guessed must not
   * make a request impossible that a small bucket would let pass.
   */
  least: number;
}

interface Learned {
  /** Faded sums of bodies and of the tokens that they came to. */
  bytes: number;
  tokens: number;
  /** Answers by length; the bound of bin i is 2^(i/2). */
  outputs: number[];
  answers: number;
  /** Of those answers. */
  answerTokens: number;
}

/** Weight that earlier requests keep in the bytes per token, for each that comes after. */
const kept = 0.95;
/** The first figure counts as much as so many tokens. */
const firstTokens = 100;
/** Of an answer, before the first one. */
const firstAnswerTokens = 256;
const bins = 2 * Math.log2(maxReservedOutputTokens) + 1;
const percentile = 0.9;

export class TokenEstimates {
  private readonly endpoints = new Map<string, Learned>();

  need(size: RequestSize): TokenNeed {
    const prompt = this.promptTokens(size);
    const output = this.outputTokens(size);
    const usual = prompt + output;
    const answer = Math.min(output, this.meanAnswer(size.endpointId));
    return { prompt, answer, usual, least: size.maxTokens === null ? prompt + 1 : usual };
  }

  /** Takes in what a request came to, as its engine counted. */
  learn(endpointId: string, real: { bodyBytes: number; input: number; output: number }): void {
    const learned = this.endpoints.get(endpointId) ?? unlearned();
    // The latest learned stands last: the first is the one to forget.
    this.endpoints.delete(endpointId);
    this.endpoints.set(endpointId, learned);
    if (this.endpoints.size > maxLearnedEndpoints) {
      const [oldest] = this.endpoints.keys();
      if (oldest !== undefined) this.endpoints.delete(oldest);
    }
    if (real.input > 0) {
      learned.bytes = learned.bytes * kept + real.bodyBytes;
      learned.tokens = learned.tokens * kept + real.input;
    }
    if (real.output > 0) learnOutput(learned, real.output);
  }

  private promptTokens(size: RequestSize): number {
    const learned = this.endpoints.get(size.endpointId);
    const bytesPerToken =
      learned === undefined ? firstBytesPerToken : learned.bytes / learned.tokens;
    const byBytes = Math.ceil(size.bodyBytes / bytesPerToken);
    const most = size.hasMedia ? maxMediaPromptTokens : Infinity;
    return Math.min(byBytes, most, size.contextLength ?? Infinity);
  }

  private meanAnswer(endpointId: string): number {
    const learned = this.endpoints.get(endpointId);
    if (learned === undefined || learned.answers === 0) return firstAnswerTokens;
    return learned.answerTokens / learned.answers;
  }

  private outputTokens({ endpointId, maxTokens, contextLength }: RequestSize): number {
    const learned = this.endpoints.get(endpointId);
    const usual = learned === undefined ? Infinity : longAnswer(learned);
    const most = Math.min(maxTokens ?? Infinity, contextLength ?? Infinity);
    return Math.min(most, usual, maxReservedOutputTokens);
  }
}

function unlearned(): Learned {
  return {
    bytes: firstTokens * firstBytesPerToken,
    tokens: firstTokens,
    outputs: Array.from({ length: bins }, () => 0),
    answers: 0,
    answerTokens: 0,
  };
}

function learnOutput(learned: Learned, output: number): void {
  const bin = Math.min(bins - 1, Math.ceil(2 * Math.log2(output)));
  learned.outputs[bin] = (learned.outputs[bin] ?? 0) + 1;
  learned.answers += 1;
  learned.answerTokens += output;
  if (learned.answers < fadeOutputsAt) return;
  learned.outputs = learned.outputs.map((count) => count / 2);
  learned.answers /= 2;
  learned.answerTokens /= 2;
}

/** The 90th percentile, rounded up to the bound of its bin; `Infinity` while there are none. */
function longAnswer({ outputs, answers }: Learned): number {
  if (answers === 0) return Infinity;
  let seen = 0;
  for (const [bin, count] of outputs.entries()) {
    seen += count;
    if (seen >= answers * percentile) return Math.ceil(2 ** (bin / 2));
  }
  return Infinity;
}
