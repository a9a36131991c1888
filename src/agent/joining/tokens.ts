/**
 * The agent's tokens: a short access token that opens links, and a rotation token that fetches the
 * next one.
 *
 * Invariants
 * T1 A successor is on disk before anybody sees the access token that came with it (state file F1).
 *    If its answer is lost, the same rotation token is presented again and yields the same
 *    successor.
 * T2 One refresh at a time; whoever asks meanwhile waits for its outcome.
 * T3 Lifetimes count from receipt on the monotonic clock.
 */
import { type RefreshAnswer, refreshAnswerSchema, refreshMessage } from '../../api/enrollment.ts';
import { createBackoff, type Backoff } from '../../lib/backoff.ts';
import { sleep, type Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { directoryProblem } from '../../lib/files/makeDirectory.ts';
import type { Random } from '../../lib/random.ts';
import {
  reconnectFirstMs,
  reconnectLongestMs,
  refreshAtShare,
  refreshSpreadShare,
  shortestRefreshMs,
  suspendedHoldMs,
  tokenMarginMs,
} from '../limits.ts';
import type { CallOutcome, ControlClient } from './controlClient.ts';
import type { Identity } from './identity.ts';
import { postSigned } from './nonce.ts';
import type { AgentState, StateStore } from './stateFile.ts';

export type TokenOutcome =
  | { kind: 'token'; accessToken: string }
  /** Stopped by owner, operator or a rule; may be resumed. `heldMs`: how long the answer took. */
  | { kind: 'suspended'; message: string; heldMs: number }
  /** Final: the credentials are void. */
  | { kind: 'dead'; message: string }
  | { kind: 'unavailable'; message: string; retryAfterMs?: number }
  | { kind: 'cancelled' };

interface AccessToken {
  text: string;
  receivedAtMs: number;
  livesMs: number;
  /** When it is replaced, as a share of its life. */
  refreshAtShare: number;
}

export class TokenKeeper {
  /** Called with every fresh token, so that it can go over the link. */
  onToken: ((accessToken: string) => void) | undefined;
  private readonly parts: TokenKeeperParts;
  private token: AccessToken | undefined;
  private refreshing: Promise<TokenOutcome> | undefined;

  constructor(parts: TokenKeeperParts) {
    this.parts = parts;
  }

  /** The token of an enrolment that has just been made. */
  adopt(fresh: { accessToken: string; expiresInSeconds: number; receivedAtMs: number }): void {
    this.token = {
      text: fresh.accessToken,
      receivedAtMs: fresh.receivedAtMs,
      livesMs: fresh.expiresInSeconds * 1000,
      refreshAtShare: refreshAtShare - refreshSpreadShare * this.parts.random.float(),
    };
  }

  /** The server did not take the token: it is not used again. */
  reject(accessToken: string): void {
    if (this.token?.text === accessToken) this.token = undefined;
  }

  /** A token with life enough for a new link, refreshed if need be. One attempt. */
  async obtain(signal: AbortSignal): Promise<TokenOutcome> {
    const { token } = this;
    if (token !== undefined && this.leftMs(token) > tokenMarginMs) {
      return { kind: 'token', accessToken: token.text };
    }
    return this.refresh(signal);
  }

  /**
   * Refreshes before expiry, for as long as the signal lets it: runs beside a link. Resolves early
   * when more attempts are useless.
   */
  async keepFresh(
    signal: AbortSignal,
  ): Promise<Extract<TokenOutcome, { kind: 'dead' }> | undefined> {
    const { clock, random, log } = this.parts;
    const backoff = createBackoff({
      random,
      firstMs: reconnectFirstMs,
      longestMs: reconnectLongestMs,
    });
    let waitMs = this.untilRefreshMs();
    while ((await sleep(clock, waitMs, signal)) === 'elapsed') {
      const outcome = await this.refresh(signal);
      if (outcome.kind === 'dead') return outcome;
      if (outcome.kind === 'token') {
        backoff.reset();
        // A server that gives no life worth the name is not asked without a pause.
        waitMs = Math.max(shortestRefreshMs, this.untilRefreshMs());
      } else if (outcome.kind !== 'cancelled') {
        waitMs = pauseAfter(outcome, backoff);
        log.warn({ outcome: outcome.kind, detail: outcome.message, waitMs }, 'token not refreshed');
      }
    }
    return undefined;
  }

  private leftMs(token: AccessToken): number {
    return token.receivedAtMs + token.livesMs - this.parts.clock.monotonic();
  }

  private untilRefreshMs(): number {
    const { token } = this;
    if (token === undefined) return 0;
    return Math.max(0, this.leftMs(token) - token.livesMs * (1 - token.refreshAtShare));
  }

  private refresh(signal: AbortSignal): Promise<TokenOutcome> {
    // T2: the single flight lives until its outcome is known, whoever started it.
    this.refreshing ??= this.refreshOnce(signal).finally(() => {
      this.refreshing = undefined;
    });
    return this.refreshing;
  }

  private async refreshOnce(signal: AbortSignal): Promise<TokenOutcome> {
    const { client, store, identity, clock } = this.parts;
    const state = store.current();
    if (state === undefined || state.enrolment === null) throw new Error('not enrolled');
    const { agentId, rotationToken } = state.enrolment;
    const askedAtMs = clock.monotonic();
    const outcome = await postSigned({
      client,
      path: '/v1/enroll/refresh',
      schema: refreshAnswerSchema,
      signal,
      body: (nonce) => ({
        agent_id: agentId,
        rotation_token: rotationToken,
        nonce,
        signature: identity.sign(refreshMessage({ agentId, rotationToken, nonce })),
        wait_seconds: suspendedHoldMs / 1000,
      }),
    });
    const receivedAtMs = clock.monotonic();
    if (outcome.kind !== 'ok') return refusalOf(outcome, receivedAtMs - askedAtMs);
    const enrolment = { ...state.enrolment, rotationToken: outcome.answer.rotation_token };
    // T1: first the disk, then everybody else.
    const unsaved = await this.saved({ ...state, enrolment });
    if (unsaved !== undefined) return unsaved;
    return this.take(outcome.answer, receivedAtMs);
  }

  /** Undefined when the state is on disk. A full disk is tried again: the old token still works. */
  private async saved(state: AgentState): Promise<TokenOutcome | undefined> {
    try {
      await this.parts.store.save(state);
      return undefined;
    } catch (error) {
      const message = `The agent’s state cannot be written: ${directoryProblem(error)}.`;
      return { kind: 'unavailable', message };
    }
  }

  private take(answer: RefreshAnswer, receivedAtMs: number): TokenOutcome {
    const accessToken = answer.access_token;
    this.adopt({ accessToken, expiresInSeconds: answer.expires_in, receivedAtMs });
    this.onToken?.(accessToken);
    return { kind: 'token', accessToken };
  }
}

export interface TokenKeeperParts {
  client: ControlClient;
  /** Holds an enrolment. */
  store: StateStore;
  identity: Identity;
  clock: Clock;
  random: Random;
  log: Logger;
}

function pauseAfter(
  outcome: Extract<TokenOutcome, { kind: 'suspended' | 'unavailable' }>,
  backoff: Backoff,
): number {
  if (outcome.kind === 'suspended') return suspendedHoldMs;
  return Math.max(backoff.nextMs(), outcome.retryAfterMs ?? 0);
}

function refusalOf(
  outcome: Exclude<CallOutcome<never>, { kind: 'ok' }>,
  heldMs: number,
): TokenOutcome {
  if (outcome.kind !== 'refused') return outcome;
  switch (outcome.code) {
    case 'agent_suspended':
      return { kind: 'suspended', message: outcome.message, heldMs };
    case 'agent_dead':
    case 'rotation_token_invalid':
    case 'signature_invalid':
      return { kind: 'dead', message: outcome.message };
    default:
      // Not a word about the credentials: a proxy in between, a server of another version.
      return { kind: 'unavailable', message: outcome.message };
  }
}
