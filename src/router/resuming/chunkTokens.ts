/**
 * How many tokens an engine writes into one chunk: one, unless it guesses several ahead
 * (speculative decoding) or gathers them. Learned by instance from answers that came to their end,
 * where both the engine's count and the agent's are known. Who continues or pays for a part of an
 * answer has only its chunks to count.
 */
import type { EndMessage } from '../../protocol/messages/end.ts';
import { maxChunkCounters } from '../limits.ts';

/** Whose chunks. */
export interface Writer {
  agentId: string;
  instance: string;
}

/** Shorter answers say little: the end of the text is a token, too, and has no chunk. */
const leastChunks = 16;
const weight = 0.2;
/** More is no engine that we know of; agents are untrusted. */
const most = 16;
/** Less is what ends, special tokens and characters of several tokens come to. */
const several = 1.25;

export class ChunkTokens {
  private readonly means = new Map<string, number>();

  learn(writer: Writer, end: EndMessage | undefined): void {
    const { usage, written = 0 } = end ?? {};
    if (usage === undefined || written < leastChunks) return;
    const seen = Math.min(most, Math.max(1, usage.output / written));
    const key = keyOf(writer);
    const known = this.means.get(key) ?? seen;
    // Whoever has answered last is forgotten last.
    this.means.delete(key);
    this.means.set(key, known + weight * (seen - known));
    const oldest = this.means.keys().next();
    if (this.means.size > maxChunkCounters && oldest.done !== true) this.means.delete(oldest.value);
  }

  /** In the mean; 1 where nothing else is known. */
  of(writer: Writer): number {
    const mean = this.means.get(keyOf(writer)) ?? 1;
    return mean < several ? 1 : mean;
  }
}

const keyOf = ({ agentId, instance }: Writer): string => `${agentId}/${instance}`;
