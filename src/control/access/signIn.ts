/**
 * Sessions of people: a 256-bit token in a cookie, its SHA-256 in the store, ended 12 hours after
 * sign-in whether used or not.
 *
 * Invariants
 * C2 The token is returned once and stored hashed.
 * W3 A wrong password and an unknown address get the same answer after the same work.
 */
import { fromBase64url, sha256Hex, toBase64url } from '../../lib/hashing.ts';
import { networkOf } from '../../lib/networkOf.ts';
import {
  limiterEntries,
  longestEmail,
  sessionLifetimeMs,
  signInFailuresPerAccount,
  signInFailuresPerAddress,
} from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import type { Principal } from '../principal.ts';
import { createAttemptLimiter, type AttemptLimiter } from './attemptLimiter.ts';
import type { Passwords } from './password.ts';

const tokenBytes = 32;

export interface SessionView {
  principal: Extract<Principal, { kind: 'user' }>;
  mustChangePassword: boolean;
  /** Epoch ms. */
  expiresAtMs: number;
}

export type SignInOutcome =
  | { ok: true; token: string; session: SessionView }
  | { ok: false; reason: 'invalid_credentials' }
  /** Too many failures from this address or for this account; or too many checks at once. */
  | { ok: false; reason: 'too_many_attempts' | 'busy'; retryAfterMs: number };

export interface Sessions {
  /** `address` is the client's, for the limit on failures. */
  signIn(input: { email: string; password: string; address: string }): Promise<SignInOutcome>;
  /** The session behind a cookie's token; null when there is none, or no longer. */
  session(token: string): Promise<SessionView | null>;
  /** Idempotent. */
  signOut(token: string): Promise<void>;
}

export function createSessions(
  parts: Pick<ControlParts, 'store' | 'clock' | 'random' | 'log'>,
  passwords: Passwords,
): Sessions {
  const { store, clock, random, log } = parts;
  const perAddress = createAttemptLimiter({
    clock,
    entries: limiterEntries,
    ...signInFailuresPerAddress,
  });
  const perAccount = createAttemptLimiter({
    clock,
    entries: limiterEntries,
    ...signInFailuresPerAccount,
  });

  const open = async (user: SessionView['principal'], mustChangePassword: boolean) => {
    const token = toBase64url(random.bytes(tokenBytes));
    const createdAtMs = clock.now();
    const expiresAtMs = createdAtMs + sessionLifetimeMs;
    const tokenSha256 = sha256Hex(token);
    await store.insertSession({ tokenSha256, userId: user.userId, createdAtMs, expiresAtMs });
    return { token, session: { principal: user, mustChangePassword, expiresAtMs } };
  };

  return {
    async signIn({ email: given, password, address }) {
      const email = given.trim().toLowerCase().slice(0, longestEmail);
      const attempt = takeAttempt([
        [perAddress, networkOf(address)],
        [perAccount, email],
      ]);
      if (attempt.waitMs > 0) {
        log.warn({ address }, 'sign-in refused after too many failures');
        return { ok: false, reason: 'too_many_attempts', retryAfterMs: attempt.waitMs };
      }
      const user = await store.userByEmail(email);
      const verdict = await passwords.verify(password, user?.passwordHash ?? null);
      if (verdict === 'busy') {
        attempt.refund();
        return { ok: false, reason: 'busy', retryAfterMs: 1000 };
      }
      if (verdict === 'mismatch' || user === null) {
        log.info({ address }, 'sign-in failed');
        return { ok: false, reason: 'invalid_credentials' };
      }
      attempt.refund();
      const principal = { kind: 'user', userId: user.id, email: user.email, role: user.role };
      return {
        ok: true,
        ...(await open(principal as SessionView['principal'], user.mustChangePassword)),
      };
    },

    async session(token) {
      if (fromBase64url(token)?.length !== tokenBytes) return null;
      const row = await store.sessionByHash(sha256Hex(token), clock.now());
      if (row === null) return null;
      const { id: userId, email, role, mustChangePassword } = row.user;
      const principal = { kind: 'user', userId, email, role } as const;
      return { principal, mustChangePassword, expiresAtMs: row.expiresAtMs };
    },

    signOut: (token) => store.deleteSession(sha256Hex(token)),
  };
}

/** One attempt against several limits: counted on all of them or on none. */
function takeAttempt(limits: readonly (readonly [AttemptLimiter, string])[]): {
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
