/** What a new agent is called: its owner's list shows no name twice among those that live. */
import { longestName, nameAttempts } from '../limits.ts';

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
 * The first of `wish`, `wish-2`, `wish-3`, … that is not in `taken` (letters' case does not
 * distinguish). After `nameAttempts` tries somebody keeps being quicker: then the worker id's own
 * digits make the name.
 */
export function freeName(options: {
  wish: string;
  taken: Iterable<string>;
  workerId: string;
  attempt: number;
}): string {
  const { wish, workerId, attempt } = options;
  if (attempt >= nameAttempts) return withSuffix(wish, workerId.slice(-8));
  const taken = new Set([...options.taken].map((name) => name.toLowerCase()));
  if (!taken.has(wish.toLowerCase())) return wish;
  for (let number = 2; ; number += 1) {
    const name = withSuffix(wish, String(number));
    if (!taken.has(name.toLowerCase())) return name;
  }
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
