/**
 * A trace that nobody has published: conversations that grow, with prompts and answers of drawn
 * lengths and Poisson arrivals, as lines of the Mooncake format. What holds on a published trace
 * has to hold here, too.
 */
import { randomInt, seededRandom } from '../../lib/random.ts';
import { exponential } from '../../sim/traces/draws.ts';

const blockTokens = 512;

/** Conversations that go on; older ones are over. */
const openConversations = 40;

/** Blocks after which a conversation is over. */
const longestBlocks = 90;

/** JSON lines; the same for a seed. */
export function drawnTrace(of: { requests: number; perS: number; seed: number }): string {
  const random = seededRandom(of.seed);
  const open: number[][] = [];
  let timestamp = 0;
  let nextBlock = 1;
  const lines = Array.from({ length: of.requests }, () => {
    timestamp += (exponential(random) / of.perS) * 1_000;
    const goesOn = random.float() < 0.5 && open.length > 0;
    const before = goesOn ? (open.splice(randomInt(random, open.length), 1)[0] ?? []) : [0];
    const more = 1 + Math.floor(exponential(random) * 14);
    const blocks = [...before, ...Array.from({ length: more }, () => nextBlock++)];
    if (blocks.length < longestBlocks) open.push(blocks);
    if (open.length > openConversations) open.shift();
    return JSON.stringify({
      timestamp,
      input_length: (blocks.length - 1) * blockTokens + 1 + randomInt(random, blockTokens),
      output_length: 1 + randomInt(random, 700),
      hash_ids: blocks,
    });
  });
  return `${lines.join('\n')}\n`;
}
