/**
 * Calls that may be repeated under an idempotency key (C5): the first one's answer is kept for a
 * day, sealed because it may show a secret that is shown once, and given again.
 */
import { sha256Hex } from '../../lib/crypto/hashing.ts';
import { newId } from '../../lib/ids.ts';
import type { IdempotencyClaim } from '../../store/contract/idempotencyStore.ts';
import { idempotencyAbandonedMs, idempotencyKeptMs } from '../limits.ts';
import type { ControlParts } from '../parts.ts';
import { actorOf, type Caller } from '../principal.ts';
import { seal, unseal } from '../secrets.ts';

/** What is given again. */
export interface FinishedCall {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: string;
}

export type BegunCall =
  | {
      ok: true;
      kind: 'fresh';
      /** With the claim that the change is made under. */
      caller: Caller;
      keep(answer: FinishedCall): Promise<void>;
      /** The call failed: the key is free for the next one, unless something was changed. */
      release(): Promise<void>;
    }
  | { ok: true; kind: 'repeated'; answer: FinishedCall }
  | { ok: false; reason: 'another_request' | 'still_running' | 'answer_lost' };

export type BeginCall = (input: {
  caller: Caller;
  key: string;
  /** All that makes the call what it is. */
  request: readonly (string | Buffer)[];
}) => Promise<BegunCall>;

export function createIdempotentCalls(
  parts: Pick<ControlParts, 'store' | 'clock' | 'random'> & { sealingKey: Buffer },
): BeginCall {
  const { store, clock, random, sealingKey } = parts;
  return async ({ caller, key, request }) => {
    const nowMs = clock.now();
    const claim: IdempotencyClaim = {
      key,
      caller: actorOf(caller.principal),
      claimId: newId('claim', random),
    };
    const name = `idempotency ${claim.caller} ${key}`;
    const outcome = await store.claimIdempotencyKey({
      ...claim,
      nowMs,
      requestSha256: digestOf(request),
      abandonedBeforeMs: nowMs - idempotencyAbandonedMs,
      expiresAtMs: nowMs + idempotencyKeptMs,
    });
    if (!outcome.ok) return outcome;
    if (outcome.answer !== null) {
      const { status, sealedBody: sealed } = outcome.answer;
      const text = unseal({ key: sealingKey, name, sealed });
      // Sealed with the key file of another installation: it cannot be read again.
      if (text === undefined) return { ok: false, reason: 'answer_lost' };
      const { headers, body } = JSON.parse(text) as Omit<FinishedCall, 'status'>;
      return { ok: true, kind: 'repeated', answer: { status, headers, body } };
    }
    return {
      ok: true,
      kind: 'fresh',
      caller: { ...caller, claim },
      keep({ status, headers, body }) {
        const text = JSON.stringify({ headers, body });
        const sealedBody = seal({ key: sealingKey, name, text, random });
        return store.keepIdempotentAnswer({ ...claim, status, sealedBody });
      },
      release: () => store.releaseIdempotencyKey(claim),
    };
  };
}

/** Parts of different lengths cannot add up to the same. */
function digestOf(request: readonly (string | Buffer)[]): string {
  return sha256Hex(request.map((part) => sha256Hex(part)).join(' '));
}
