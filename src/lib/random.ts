/**
 * The one source of randomness. `systemRandom` is for secrets and jitter in production;
 * `seededRandom` gives tests and the simulator a run that its seed repeats.
 */
import { randomBytes } from 'node:crypto';

export interface Random {
  /** `count` random bytes. From `systemRandom` they are fit for secrets. */
  bytes(count: number): Buffer;
  /** A float in [0, 1). */
  float(): number;
}

/** Cryptographic randomness of the operating system. */
export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  float: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
};

/** A repeatable source (mulberry32). Never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const float = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    float,
    bytes(count) {
      return Buffer.from(Array.from({ length: count }, () => Math.floor(float() * 256)));
    },
  };
}

/** An integer in [0, bound). */
export function randomInt(random: Random, bound: number): number {
  return Math.floor(random.float() * bound);
}
