/**
 * The limits on guessing: by address, by account, and by account for second factors; and on what
 * one invitation, and one's own password, may cost.
 */
import type { Clock } from '../../lib/clock.ts';
import {
  limiterEntries,
  ownPasswordProofsPerAccount,
  secondFactorFailuresPerAccount,
  signInFailuresPerAccount,
  signInFailuresPerAddress,
  signUpsPerInvitation,
} from '../limits.ts';
import { createAttemptLimiter, type AttemptLimiter } from './attemptLimiter.ts';

export interface AttemptLimits {
  /** By the network of the client's address. */
  perAddress: AttemptLimiter;
  /** By e-mail address, whether it has an account or not. */
  perAccount: AttemptLimiter;
  /** By user id: only who knows the password comes here. */
  secondFactor: AttemptLimiter;
  /** By the id of the invitation. */
  perInvitation: AttemptLimiter;
  /** By user id: what is right is counted too. */
  ownPassword: AttemptLimiter;
}

export function createAttemptLimits(clock: Clock): AttemptLimits {
  const limiter = (bound: { burst: number; refillMs: number }): AttemptLimiter =>
    createAttemptLimiter({ clock, entries: limiterEntries, ...bound });
  return {
    perAddress: limiter(signInFailuresPerAddress),
    perAccount: limiter(signInFailuresPerAccount),
    secondFactor: limiter(secondFactorFailuresPerAccount),
    perInvitation: limiter(signUpsPerInvitation),
    ownPassword: limiter(ownPasswordProofsPerAccount),
  };
}

/**
 * One attempt against several limits: counted on all of them or on none. `waitMs` above 0: it must
 * not be made before that.
 */
export function takeAttempt(limits: readonly (readonly [AttemptLimiter, string])[]): {
  waitMs: number;
  refund: () => void;
} {
  const taken: (() => void)[] = [];
  const refund = (): void => {
    for (const giveBack of taken) giveBack();
  };
  for (const [limiter, key] of limits) {
    const waitMs = limiter.take(key);
    if (waitMs > 0) {
      refund();
      return { waitMs, refund: () => {} };
    }
    taken.push(() => limiter.refund(key));
  }
  return { waitMs: 0, refund };
}
