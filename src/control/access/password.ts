/**
 * Passwords: scrypt with N = 2^15, r = 8, p = 3 (32 MiB, about a quarter of a second of one core;
 * the strength that OWASP's password sheet asks of scrypt), a 16-byte salt and a 32-byte hash, in
 * the PHC form `$scrypt$ln=15,r=8,p=3$<salt>$<hash>` (base64url).
 *
 * Invariants
 * W1 Checks run off the main thread, few at once, with a bounded line behind them (R6).
 * W2 A check takes the same work whether the account exists or not.
 */
import { scrypt, timingSafeEqual } from 'node:crypto';
import { fromBase64url, toBase64url } from '../../lib/crypto/hashing.ts';
import type { Random } from '../../lib/random.ts';
import { longestPassword, passwordChecksAtOnce, passwordChecksWaiting } from '../limits.ts';

/** What a hash takes. */
export interface PasswordCost {
  /** log2 of N. */
  ln: number;
  r: number;
  p: number;
}

const usualCost: PasswordCost = { ln: 15, r: 8, p: 3 };
const saltBytes = 16;
const hashBytes = 32;

/** W2: what is compared with when there is no account; no password has this hash. */
const noAccount = (cost: PasswordCost): string =>
  `${formOf(cost)}${'A'.repeat(22)}$${'A'.repeat(43)}`;

export interface Passwords {
  /** The text to store. Waits for its turn, however long the line is. */
  hash(password: string): Promise<string>;
  /**
   * Whether `password` is the one of `stored`; null stands for "no such account" and is false after
   * the same work. `busy` when too many checks wait already.
   */
  verify(password: string, stored: string | null): Promise<'match' | 'mismatch' | 'busy'>;
}

/** `cost`: less where nobody's password is at stake, in tests. */
export function createPasswords(random: Random, cost: PasswordCost = usualCost): Passwords {
  const line = createLine(passwordChecksAtOnce, passwordChecksWaiting);
  return {
    async hash(password) {
      const salt = random.bytes(saltBytes);
      const release = await line.wait();
      const hash = await derive(password, salt, cost).finally(release);
      return `${formOf(cost)}${toBase64url(salt)}$${toBase64url(hash)}`;
    },
    async verify(password, stored) {
      const release = await line.enter();
      if (release === undefined) return 'busy';
      try {
        return (await matches(password, { stored, cost })) ? 'match' : 'mismatch';
      } finally {
        release();
      }
    },
  };
}

const formOf = ({ ln, r, p }: PasswordCost): string => `$scrypt$ln=${ln},r=${r},p=${p}$`;

async function matches(
  password: string,
  { stored, cost }: { stored: string | null; cost: PasswordCost },
): Promise<boolean> {
  const expected = parse(stored ?? noAccount(cost));
  if (expected === undefined) return false;
  const hash = await derive(password.slice(0, longestPassword), expected.salt, expected.cost);
  const equal = timingSafeEqual(hash, expected.hash);
  return equal && stored !== null && password.length <= longestPassword;
}

function parse(stored: string): { cost: PasswordCost; salt: Buffer; hash: Buffer } | undefined {
  const form = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w-]+)\$([\w-]+)$/;
  const [, ln, r, p, saltText, hashText] = form.exec(stored) ?? [];
  const salt = fromBase64url(saltText ?? '');
  const hash = fromBase64url(hashText ?? '');
  if (salt === undefined || hash?.length !== hashBytes) return undefined;
  return { cost: { ln: Number(ln), r: Number(r), p: Number(p) }, salt, hash };
}

function derive(password: string, salt: Buffer, { ln, r, p }: PasswordCost): Promise<Buffer> {
  const N = 2 ** ln;
  // Twice what the algorithm's big table takes, and room for its small ones.
  const maxmem = 2 * 128 * N * r + 2 ** 20;
  // Composed, so that a password typed on another keyboard is the same bytes.
  const text = password.normalize('NFKC');
  return new Promise((resolve, reject) => {
    scrypt(text, salt, hashBytes, { N, r, p, maxmem }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

interface Line {
  /** Resolves with the function that leaves again; undefined when the line is full. */
  enter(): Promise<(() => void) | undefined>;
  /** The same, however long the line: who sets a password has shown an old one or an invitation. */
  wait(): Promise<() => void>;
}

/** W1: at most `atOnce` inside, at most `waiting` behind them, first come first served. */
function createLine(atOnce: number, waiting: number): Line {
  let inside = 0;
  const queue: (() => void)[] = [];
  const leave = (): void => {
    const next = queue.shift();
    if (next === undefined) inside -= 1;
    else next();
  };
  const wait = async (): Promise<() => void> => {
    if (inside < atOnce) inside += 1;
    else await new Promise<void>((resolve) => queue.push(resolve));
    return leave;
  };
  return {
    wait,
    enter: async () => (inside >= atOnce && queue.length >= waiting ? undefined : await wait()),
  };
}
