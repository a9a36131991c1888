/**
 * Enrolment: nonce, facts, signature, `POST /v1/enroll`.
 *
 * A refusal (4xx) is final and comes with what to do; everything else is tried again with back-off,
 * with the same key pair, so that a lost answer costs no second use of the join key (spec 1.3.3).
 */
import {
  type AgentFacts,
  type EnrollAnswer,
  enrollAnswerSchema,
  enrollMessage,
  joinKeyIdOf,
} from '../../api/enrollment.ts';
import { createBackoff } from '../../lib/backoff.ts';
import { sleep, type Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { reconnectFirstMs, reconnectLongestMs } from '../limits.ts';
import type { CallOutcome, ControlClient } from './controlClient.ts';
import type { Identity } from './identity.ts';
import { postSigned } from './nonce.ts';
import type { ServerAddress } from './serverAddress.ts';

export interface EnrollOptions {
  client: ControlClient;
  address: ServerAddress;
  identity: Identity;
  joinKey: string;
  facts: AgentFacts;
  /** Null: the join key's name, else the host's. */
  name: string | null;
  clock: Clock;
  random: Random;
  signal: AbortSignal;
  /** An attempt failed and another follows. */
  onRetry: (retry: { message: string; delayMs: number }) => void;
}

export type EnrollOutcome =
  /** `receivedAtMs` is monotonic: lifetimes count from it, clocks may differ by hours. */
  | { kind: 'enrolled'; answer: EnrollAnswer; receivedAtMs: number }
  | { kind: 'refused'; code: string | null; message: string }
  | { kind: 'cancelled' };

/** What the owner can do about each refusal, after the server's own words. */
const advice: Record<string, string> = {
  join_key_invalid: 'Copy the whole line again, or make a new join key on the agents page.',
  join_key_expired: 'Make a new join key (it lives an hour at most) and paste its line.',
  join_key_revoked: 'Ask the owner who revoked it, or make a new join key.',
  join_key_used_up: 'Make a new join key, or one with a larger max_uses for several machines.',
  enrollment_rejected: 'Make a new join key and start with an empty --state-dir.',
  nonce_invalid: 'Start again; if it stays so, the server loses its memory between two calls.',
  signature_invalid:
    'Give the address by which the server knows itself, as the pasted line has it: it is signed.',
  agent_suspended: 'Resume the agent on the agents page.',
  agent_dead: 'This agent was removed: make a new join key and start with an empty --state-dir.',
};

/** Enrols, or says why not. Ends only with the server's word or the signal. */
export async function enroll(options: EnrollOptions): Promise<EnrollOutcome> {
  const { clock, random, signal } = options;
  const joinKeyId = joinKeyIdOf(options.joinKey);
  if (joinKeyId === undefined) {
    const what = advice['join_key_invalid'];
    const message = `The join key has not the form xjk_<id>_<secret>. ${what}`;
    return { kind: 'refused', code: 'join_key_invalid', message };
  }
  const backoff = createBackoff({
    random,
    firstMs: reconnectFirstMs,
    longestMs: reconnectLongestMs,
  });
  for (;;) {
    const outcome = await attempt(options, joinKeyId);
    if (outcome.kind === 'cancelled') return outcome;
    if (outcome.kind === 'ok') {
      return { kind: 'enrolled', answer: outcome.answer, receivedAtMs: clock.monotonic() };
    }
    if (outcome.kind === 'refused') return refusal(outcome);
    if (outcome.permanent) return { kind: 'refused', code: null, message: outcome.message };
    const delayMs = Math.max(backoff.nextMs(), outcome.retryAfterMs ?? 0);
    options.onRetry({ message: outcome.message, delayMs });
    if ((await sleep(clock, delayMs, signal)) === 'aborted') return { kind: 'cancelled' };
  }
}

function attempt(options: EnrollOptions, joinKeyId: string): Promise<CallOutcome<EnrollAnswer>> {
  const { client, identity, facts, name, address } = options;
  const { publicKey } = identity;
  return postSigned({
    client,
    path: '/v1/enroll',
    schema: enrollAnswerSchema,
    signal: options.signal,
    body: (nonce) => ({
      join_key: options.joinKey,
      nonce,
      public_key: publicKey,
      ...(name === null ? {} : { name }),
      facts,
      signature: identity.sign(
        enrollMessage({ nonce, host: address.host, joinKeyId, publicKey, facts }),
      ),
    }),
  });
}

function refusal(outcome: { code: string | null; message: string }): EnrollOutcome {
  const { code, message } = outcome;
  const what = code === null ? undefined : advice[code];
  return { kind: 'refused', code, message: what === undefined ? message : `${message} ${what}` };
}
