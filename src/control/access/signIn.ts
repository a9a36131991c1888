/**
 * Sessions of people: a 256-bit token in a cookie, its SHA-256 in the store, ended 12 hours after
 * sign-in whether used or not.
 *
 * Invariants
 * C2 The token is returned once and stored hashed.
 * W3 A wrong password and an unknown address get the same answer after the same work; whether an
 *    account is disabled or asks for a second factor shows only behind the right password.
 * W4 A session that was opened with a one-time password may change it or sign out, nothing else.
 */
import { fromBase64url, sha256Hex, toBase64url } from '../../lib/crypto/hashing.ts';
import { networkOf } from '../../lib/network/networkOf.ts';
import type { SessionMethod, UserRow } from '../../store/contract/peopleStore.ts';
import { longestEmail, sessionLifetimeMs } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import type { Principal } from '../principal.ts';
import { takeAttempt, type AttemptLimits } from './attemptLimits.ts';
import type { Passwords } from './password.ts';
import type { SecondFactors } from './secondFactor.ts';

const tokenBytes = 32;

export interface SessionView {
  /** Of the kind `one_time_user` until the one-time password was changed (W4). */
  principal: Extract<Principal, { kind: 'user' | 'one_time_user' }>;
  mustChangePassword: boolean;
  /** Whether the account has a password, and whether it asks for a second factor. */
  hasPassword: boolean;
  secondFactor: boolean;
  /** Epoch ms. */
  expiresAtMs: number;
}

export interface OpenedSession {
  ok: true;
  token: string;
  session: SessionView;
}

export type SignInOutcome =
  | OpenedSession
  | {
      ok: false;
      reason:
        | 'invalid_credentials'
        | 'account_disabled'
        | 'second_factor_required'
        | 'second_factor_wrong';
    }
  /** Too many failures from this address or for this account; or too many checks at once. */
  | { ok: false; reason: 'too_many_attempts' | 'busy'; retryAfterMs: number };

export interface Sessions {
  /**
   * `address` is the client's, for the limit on failures; `code` is of the second factor, where the
   * account has one.
   */
  signIn(input: {
    email: string;
    password: string;
    code?: string | undefined;
    address: string;
  }): Promise<SignInOutcome>;
  /** The session behind a cookie's token; null when there is none, or no longer. */
  session(token: string): Promise<SessionView | null>;
  /** Idempotent. */
  signOut(token: string): Promise<void>;
}

type OpenParts = Pick<ControlParts, 'store' | 'clock' | 'random'>;

type Parts = OpenParts &
  Pick<ControlParts, 'log'> & {
    passwords: Passwords;
    limits: AttemptLimits;
    secondFactors: Pick<SecondFactors, 'check'>;
  };

export function createSessions(parts: Parts): Sessions {
  const { store, clock } = parts;
  return {
    signIn: (input) => signIn(parts, input),
    async session(token) {
      if (fromBase64url(token)?.length !== tokenBytes) return null;
      const row = await store.sessionByHash(sha256Hex(token), clock.now());
      return row === null ? null : sessionView(row);
    },
    signOut: (token) => store.deleteSession(sha256Hex(token)),
  };
}

function sessionView(session: {
  user: UserRow;
  method: SessionMethod;
  expiresAtMs: number;
}): SessionView {
  const { user, method, expiresAtMs } = session;
  const { id: userId, email, role, secondFactor } = user;
  const mustChangePassword = user.mustChangePassword && method === 'password';
  const kind = mustChangePassword ? 'one_time_user' : 'user';
  return {
    principal: { kind, userId, email, role },
    mustChangePassword,
    hasPassword: user.passwordHash !== null,
    secondFactor,
    expiresAtMs,
  };
}

/**
 * Opens a session for an account whose owner has proved who they are. `stale`: meanwhile the
 * account was disabled, or its password is no longer the one that was checked.
 */
export async function openSession(
  { store, clock, random }: OpenParts,
  { user, method }: { user: UserRow; method: SessionMethod },
): Promise<OpenedSession | { ok: false; reason: 'stale' }> {
  const token = toBase64url(random.bytes(tokenBytes));
  const createdAtMs = clock.now();
  const expiresAtMs = createdAtMs + sessionLifetimeMs;
  const userId = user.id;
  const session = { tokenSha256: sha256Hex(token), userId, method, createdAtMs, expiresAtMs };
  const checkedHash = method === 'password' ? user.passwordHash : null;
  const outcome = await store.insertSession({ session, checkedHash });
  if (!outcome.ok) return outcome;
  return { ok: true, token, session: sessionView({ user, method, expiresAtMs }) };
}

async function signIn(
  parts: Parts,
  input: { email: string; password: string; code?: string | undefined; address: string },
): Promise<SignInOutcome> {
  const { log, limits } = parts;
  const { password, address } = input;
  const email = input.email.trim().toLowerCase().slice(0, longestEmail);
  const attempt = takeAttempt([
    [limits.perAddress, networkOf(address)],
    [limits.perAccount, email],
  ]);
  if (attempt.waitMs > 0) {
    log.warn({ address }, 'sign-in refused after too many failures');
    return { ok: false, reason: 'too_many_attempts', retryAfterMs: attempt.waitMs };
  }
  const user = await parts.store.userByEmail(email);
  const verdict = await parts.passwords.verify(password, user?.passwordHash ?? null);
  if (verdict === 'busy') {
    attempt.refund();
    return { ok: false, reason: 'busy', retryAfterMs: 1000 };
  }
  if (verdict === 'mismatch' || user === null) {
    log.info({ address }, 'sign-in failed');
    return { ok: false, reason: 'invalid_credentials' };
  }
  attempt.refund();
  if (user.disabledAtMs !== null) return { ok: false, reason: 'account_disabled' };
  if (user.secondFactor) {
    const proved = await secondProof(parts, { userId: user.id, code: input.code });
    if (!proved.ok) return proved;
  }
  const opened = await openSession(parts, { user, method: 'password' });
  return opened.ok ? opened : { ok: false, reason: 'invalid_credentials' };
}

async function secondProof(
  { secondFactors, log }: Parts,
  { userId, code }: { userId: string; code: string | undefined },
): Promise<{ ok: true } | Exclude<SignInOutcome, { ok: true }>> {
  if (code === undefined) return { ok: false, reason: 'second_factor_required' };
  const checked = await secondFactors.check({ userId, code });
  if (!checked.ok) log.info({ userId, reason: checked.reason }, 'second factor refused');
  return checked;
}
