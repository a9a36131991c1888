/**
 * How many tokens an engine writes into one chunk: one, unless it guesses several ahead
 * (speculative decoding) or gathers them. Learned by instance from answers that came to their end,
 * where both the engine's count and the agent's are known. Who continues or pays for a part of an
 * answer has only its chunks to count.
 *
 * It depends on what is written, too: an engine has no chunk for a token that ends no character, of
 * which an emoji has three. So the least of the latest answers counts, and each project has its
 * own: what one makes an engine write shortens and bills nobody else's answers.
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
/** Fewer answers say nothing, and more are not looked at. */
const leastAnswers = 4;
const latestAnswers = 8;
/** More is no engine that we know of; agents are untrusted. */
const most = 16;
/** Less is what ends, special tokens and some characters of several tokens come to. */
const several = 1.25;

export class ChunkTokens {
  /** By writer and project: of the latest answers. */
  private readonly latest = new Map<string, number[]>();

  learn(writer: Writer, projectId: string, end: EndMessage | undefined): void {
    const { usage, written = 0 } = end ?? {};
    if (usage === undefined || written < leastChunks) return;
    const key = keyOf(writer, projectId);
    const seen = this.latest.get(key) ?? [];
    seen.push(Math.min(most, Math.max(1, usage.output / written)));
    if (seen.length > latestAnswers) seen.shift();
    // Whoever has answered last is forgotten last.
    this.latest.delete(key);
    this.latest.set(key, seen);
    const oldest = this.latest.keys().next();
    if (this.latest.size > maxChunkCounters && oldest.done !== true) {
      this.latest.delete(oldest.value);
    }
  }

  /** At least so many; 1 where nothing else is known. */
  of(writer: Writer, projectId: string): number {
    const seen = this.latest.get(keyOf(writer, projectId)) ?? [];
    if (seen.length < leastAnswers) return 1;
    const least = Math.min(...seen);
    return least < several ? 1 : least;
  }
}

const keyOf = ({ agentId, instance }: Writer, projectId: string): string =>
  `${projectId}/${agentId}/${instance}`;
