/**
 * The second factor: a code of an authenticator app (TOTP), or a recovery code in its place. The
 * secret is sealed in the store, recovery codes are hashed.
 *
 * Invariants
 * T1 A code is good once: its step, and every earlier one, is spent with it, in the store,
 *    whichever server was asked.
 * T2 Wrong codes are limited by account, whatever address they come from.
 * T3 Nothing is asked of an account before its owner has shown a code of the new secret.
 */
import { matchingTotpStep, otpauthUri, rfcBase32, totpSecretBytes } from '../../lib/crypto/totp.ts';
import { auditOf } from '../audit.ts';
import type { ControlParts } from '../parts.ts';
import { authorizeSelf, type Caller, type Denied, type SignedIn } from '../principal.ts';
import type { ServerSecrets } from '../secrets.ts';
import type { AttemptLimits } from './attemptLimits.ts';
import type { OwnPassword, PasswordRefusal } from './ownPassword.ts';
import { newRecoveryCodes, recoveryCodeHash } from './recoveryCodes.ts';

/** What authenticator apps show beside the account. */
const issuerName = 'XIM';

export type CodeOutcome =
  | { ok: true }
  | { ok: false; reason: 'second_factor_wrong' }
  | { ok: false; reason: 'too_many_attempts'; retryAfterMs: number };

type Refusal<Reason extends string> = { ok: false; reason: Reason };

/** A secret that waits for its first code. */
export interface BegunSecondFactor {
  ok: true;
  /** As apps take it by hand. */
  secret: string;
  /** `otpauth://…`, as apps scan it. */
  uri: string;
}

export interface SecondFactors {
  /** For a sign-in: whether the code is right; it is spent then. */
  check(input: { userId: string; code: string }): Promise<CodeOutcome>;
  status(input: {
    caller: Caller;
  }): Promise<{ ok: true; enabled: boolean; recoveryCodesLeft: number } | Denied>;
  /** `password` is needed where the account has one. */
  begin(input: {
    caller: Caller;
    password: string | undefined;
  }): Promise<BegunSecondFactor | PasswordRefusal | Refusal<'already_on'> | Denied>;
  /** Turns it on, and gives the recovery codes, which are shown only now. */
  confirm(input: {
    caller: Caller;
    code: string;
  }): Promise<
    | { ok: true; recoveryCodes: string[] }
    | Exclude<CodeOutcome, { ok: true }>
    | Refusal<'already_on' | 'not_begun'>
    | Denied
  >;
  /** New recovery codes; the old ones are void. */
  renewRecoveryCodes(input: {
    caller: Caller;
    code: string;
  }): Promise<
    | { ok: true; recoveryCodes: string[] }
    | Exclude<CodeOutcome, { ok: true }>
    | Refusal<'second_factor_off'>
    | Denied
  >;
  turnOff(input: {
    caller: Caller;
    code: string;
  }): Promise<CodeOutcome | Refusal<'second_factor_off'> | Denied>;
}

type Parts = Pick<ControlParts, 'store' | 'clock' | 'random'> & {
  secrets: Pick<ServerSecrets, 'seal' | 'unseal'>;
  limits: Pick<AttemptLimits, 'secondFactor'>;
  ownPassword: Pick<OwnPassword, 'check'>;
};

export function createSecondFactors(parts: Parts): SecondFactors {
  return {
    check: (input) => limited(parts, input, () => isRight(parts, input)),
    status: async ({ caller }) => {
      const self = authorizeSelf(caller);
      if (!self.ok) return self;
      const row = await parts.store.secondFactor(self.userId);
      const enabled = row !== null && row.confirmedAtMs !== null;
      return { ok: true, enabled, recoveryCodesLeft: enabled ? row.recoveryCodesLeft : 0 };
    },
    begin: (input) => begin(parts, input),
    confirm: (input) => confirm(parts, input),
    renewRecoveryCodes: (input) => renew(parts, input),
    turnOff: (input) => turnOff(parts, input),
  };
}

/** T2 around whatever says whether a code is right. */
async function limited(
  { limits }: Pick<Parts, 'limits'>,
  { userId }: { userId: string },
  right: () => Promise<boolean>,
): Promise<CodeOutcome> {
  const retryAfterMs = limits.secondFactor.take(userId);
  if (retryAfterMs > 0) return { ok: false, reason: 'too_many_attempts', retryAfterMs };
  if (!(await right())) return { ok: false, reason: 'second_factor_wrong' };
  limits.secondFactor.refund(userId);
  return { ok: true };
}

async function isRight(
  parts: Parts,
  { userId, code }: { userId: string; code: string },
): Promise<boolean> {
  const { store, clock } = parts;
  const row = await store.secondFactor(userId);
  if (row === null || row.confirmedAtMs === null) return false;
  const digits = totpDigitsOf(code);
  if (digits === undefined) {
    return (await store.useRecoveryCode({ userId, codeSha256: recoveryCodeHash(code) })).ok;
  }
  const secret = openSecret(parts, row);
  const step = matchingTotpStep(secret, { code: digits, atMs: clock.now() });
  return step !== undefined && (await store.useSecondFactorStep({ userId, step })).ok;
}

/** Undefined: not six digits, so not a code of the app. */
function totpDigitsOf(code: string): string | undefined {
  const digits = code.replaceAll(/\s/g, '');
  return /^\d{6}$/.test(digits) ? digits : undefined;
}

function sealName(userId: string): string {
  return `second factor of ${userId}`;
}

function openSecret(
  { secrets }: Parts,
  { userId, sealedSecret }: { userId: string; sealedSecret: string },
): Buffer {
  const text = secrets.unseal({ name: sealName(userId), sealed: sealedSecret });
  if (text === undefined) throw new Error('a second factor was sealed with another key file');
  return Buffer.from(text, 'base64url');
}

async function begin(
  parts: Parts,
  { caller, password = '' }: { caller: Caller; password: string | undefined },
): ReturnType<SecondFactors['begin']> {
  const self = authorizeSelf(caller);
  if (!self.ok) return self;
  const { userId, email } = self;
  const user = await parts.store.userById(userId);
  if (user === null) return { ok: false, reason: 'not_signed_in' };
  if (user.passwordHash !== null) {
    // Who finds a browser open must not lock its owner out.
    const { address } = caller;
    const known = await parts.ownPassword.check({ user, password, address });
    if (!known.ok) return known;
  }
  const secret = parts.random.bytes(totpSecretBytes);
  const outcome = await parts.store.beginSecondFactor({
    userId,
    sealedSecret: parts.secrets.seal({
      name: sealName(userId),
      text: secret.toString('base64url'),
    }),
    nowMs: parts.clock.now(),
    audit: noteOf(parts, { caller, self, verb: 'begin_second_factor' }),
  });
  if (!outcome.ok) return outcome;
  const uri = otpauthUri({ issuer: issuerName, account: email, secret });
  return { ok: true, secret: rfcBase32(secret), uri };
}

function noteOf(
  parts: Pick<Parts, 'clock'>,
  { caller, self, verb }: { caller: Caller; self: SignedIn; verb: string },
) {
  return auditOf(parts, caller, { action: `user.${verb}`, target: self.userId, projectId: null });
}

async function confirm(
  parts: Parts,
  { caller, code }: { caller: Caller; code: string },
): ReturnType<SecondFactors['confirm']> {
  const self = authorizeSelf(caller);
  if (!self.ok) return self;
  const { userId } = self;
  const row = await parts.store.secondFactor(userId);
  if (row === null) return { ok: false, reason: 'not_begun' };
  if (row.confirmedAtMs !== null) return { ok: false, reason: 'already_on' };
  const asked = { code: totpDigitsOf(code) ?? '', atMs: parts.clock.now() };
  const step = matchingTotpStep(openSecret(parts, row), asked);
  const checked = await limited(parts, { userId }, async () => step !== undefined);
  if (!checked.ok || step === undefined) return checked as Exclude<CodeOutcome, { ok: true }>;
  const made = newRecoveryCodes(parts.random);
  const outcome = await parts.store.confirmSecondFactor({
    userId,
    sealedSecret: row.sealedSecret,
    step,
    recoveryHashes: made.hashes,
    nowMs: asked.atMs,
    audit: noteOf(parts, { caller, self, verb: 'turn_on_second_factor' }),
  });
  if (outcome.ok) return { ok: true, recoveryCodes: made.codes };
  return { ok: false, reason: outcome.reason === 'stale' ? 'not_begun' : outcome.reason };
}

async function renew(
  parts: Parts,
  { caller, code }: { caller: Caller; code: string },
): ReturnType<SecondFactors['renewRecoveryCodes']> {
  const self = await shown(parts, { caller, code });
  if (!self.ok) return self;
  const made = newRecoveryCodes(parts.random);
  const outcome = await parts.store.replaceRecoveryCodes({
    userId: self.userId,
    recoveryHashes: made.hashes,
    audit: noteOf(parts, { caller, self, verb: 'renew_recovery_codes' }),
  });
  if (!outcome.ok) return { ok: false, reason: 'second_factor_off' };
  return { ok: true, recoveryCodes: made.codes };
}

async function turnOff(
  parts: Parts,
  { caller, code }: { caller: Caller; code: string },
): ReturnType<SecondFactors['turnOff']> {
  const self = await shown(parts, { caller, code });
  if (!self.ok) return self;
  const outcome = await parts.store.removeSecondFactor({
    userId: self.userId,
    audit: noteOf(parts, { caller, self, verb: 'turn_off_second_factor' }),
  });
  return outcome.ok ? outcome : { ok: false, reason: 'second_factor_off' };
}

/** The caller, once a good code was shown. */
async function shown(
  parts: Parts,
  { caller, code }: { caller: Caller; code: string },
): Promise<SignedIn | Exclude<CodeOutcome, { ok: true }> | Refusal<'second_factor_off'> | Denied> {
  const self = authorizeSelf(caller);
  if (!self.ok) return self;
  const { userId } = self;
  const row = await parts.store.secondFactor(userId);
  if (row === null || row.confirmedAtMs === null) {
    return { ok: false, reason: 'second_factor_off' };
  }
  const checked = await limited(parts, { userId }, () => isRight(parts, { userId, code }));
  return checked.ok ? self : checked;
}
