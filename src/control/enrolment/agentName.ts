/** What a new agent is called: its owner's list shows no name twice among those that live. */
import { longestName, mostDoublings, nameAttempts, namesAtOnce } from '../limits.ts';

/** The name that is wished for: the agent's own, else the join key's, else the host's. */
export function wishedName(wishes: {
  given: string | undefined;
  joinKey: string;
  hostname: string;
}): string {
  const usable = [wishes.given, wishes.joinKey, wishes.hostname]
    .map(tidy)
    .find((one) => one !== '');
  return usable ?? 'agent';
}

/**
 * One of `wish`, `wish-2`, `wish-3`, … that nobody has: the first one when few are taken, and of
 * thousands one behind which others are taken. `takenOf` tells which of some names are. After
 * `nameAttempts` tries somebody keeps being quicker: then the worker id's own digits make the name.
 */
export async function freeName(options: {
  wish: string;
  takenOf: (names: readonly string[]) => Promise<readonly string[]>;
  workerId: string;
  attempt: number;
}): Promise<string> {
  const { wish, workerId, attempt } = options;
  const byWorker = withSuffix(wish, workerId.slice(-8));
  if (attempt >= nameAttempts) return byWorker;
  const name = (number: number): string => (number === 1 ? wish : withSuffix(wish, String(number)));
  /** The first of the numbers that is free, and the last one before it that is taken. */
  const look = async (numbers: readonly number[]): Promise<Gap> => {
    const taken = new Set(await options.takenOf(numbers.map(name)));
    const at = numbers.findIndex((number) => !taken.has(name(number)));
    return { taken: numbers[at === -1 ? numbers.length - 1 : at - 1], free: numbers[at] };
  };
  const near = await look(range({ from: 1, to: namesAtOnce, step: 1 }));
  if (near.free !== undefined) return name(near.free);
  // Twice as far each time, then back between the last one that was taken and the first free one.
  const powers = range({ from: 1, to: mostDoublings, step: 1 });
  const far = await look(powers.map((power) => namesAtOnce * 2 ** power));
  if (far.free === undefined) return byWorker;
  let { taken = namesAtOnce, free } = { taken: far.taken, free: far.free };
  while (free - taken > 1) {
    const step = Math.ceil((free - taken) / namesAtOnce);
    const between = await look(range({ from: taken + step, to: free - 1, step }));
    taken = between.taken ?? taken;
    free = between.free ?? free;
  }
  return name(free);
}

/** Undefined where there is none. */
interface Gap {
  taken: number | undefined;
  free: number | undefined;
}

function range({ from, to, step }: { from: number; to: number; step: number }): number[] {
  const length = Math.max(0, Math.floor((to - from) / step) + 1);
  return Array.from({ length }, (_none, at) => from + at * step);
}

function withSuffix(wish: string, suffix: string): string {
  return `${cut(wish, longestName - suffix.length - 1)}-${suffix}`;
}

/** One line without control characters, not too long. */
function tidy(text: string | undefined): string {
  return cut((text ?? '').replace(/[\p{Cc}\p{Cs}\s]+/gu, ' ').trim(), longestName).trim();
}

/** The first `length` characters, without half of a surrogate pair at the end. */
function cut(text: string, length: number): string {
  return text.slice(0, length).replace(/[\uD800-\uDBFF]$/, '');
}
