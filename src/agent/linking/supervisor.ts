/**
 * Keeps one link up for as long as the agent is wanted: token, dial, hold, and again.
 *
 * Invariants
 * S1 Between two attempts lies a wait with full jitter, 0.5 to 30 s; it starts small again only
 *    after a link has held for 30 s.
 * S2 It ends by itself only when more attempts are useless: the agent is dead, or another process
 *    has its credentials.
 */
import { createBackoff, type Backoff } from '../../lib/backoff.ts';
import { sleep, type Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { TokenKeeper, TokenOutcome } from '../joining/tokens.ts';
import { linkHeldMs, reconnectFirstMs, reconnectLongestMs, suspendedHoldMs } from '../limits.ts';
import type { LinkEnd, LinkSession } from './link.ts';

export interface SupervisorParts {
  tokens: TokenKeeper;
  /** A session that is ready to run, with this token. */
  newSession: (accessToken: string) => LinkSession;
  clock: Clock;
  random: Random;
  onWaiting: (wait: WaitReason & { delayMs: number }) => void;
}

/** Why there is no link right now. */
export interface WaitReason {
  why: 'unreachable' | 'suspended' | 'link_lost';
  message: string;
}

export type SupervisorEnd =
  | { kind: 'stopped' }
  | { kind: 'dead' | 'fenced' | 'refused'; message: string };

type Suspended = Extract<TokenOutcome, { kind: 'suspended' }>;

/** What to do after an attempt. */
type Next = SupervisorEnd | ({ kind: 'wait'; delayMs: number } & WaitReason);

export class Supervisor {
  private readonly parts: SupervisorParts;
  private readonly backoff: Backoff;
  /** No further link is wanted. */
  private readonly leaving = new AbortController();
  private session: LinkSession | undefined;

  constructor(parts: SupervisorParts) {
    this.parts = parts;
    const { random } = parts;
    this.backoff = createBackoff({
      random,
      firstMs: reconnectFirstMs,
      longestMs: reconnectLongestMs,
    });
  }

  /** Runs until drained, until the signal aborts, or until S2. Call once. */
  async run(signal: AbortSignal): Promise<SupervisorEnd> {
    const stop = AbortSignal.any([signal, this.leaving.signal]);
    while (!stop.aborted) {
      const next = await this.attempt(signal);
      if (stop.aborted) break;
      if (next.kind !== 'wait') return next;
      this.parts.onWaiting(next);
      await sleep(this.parts.clock, next.delayMs, stop);
    }
    return { kind: 'stopped' };
  }

  /** The link that is up or on its way, to tell it things. */
  current(): LinkSession | undefined {
    return this.session;
  }

  /** Takes nothing new; `run` resolves when what runs has ended. Idempotent. */
  drain(): void {
    this.leaving.abort();
    this.session?.drain();
  }

  private async attempt(signal: AbortSignal): Promise<Next> {
    const { tokens, newSession } = this.parts;
    const token = await tokens.obtain(AbortSignal.any([signal, this.leaving.signal]));
    if (token.kind !== 'token') return this.afterRefusal(token);
    if (this.leaving.signal.aborted) return { kind: 'stopped' };
    const session = newSession(token.accessToken);
    this.session = session;
    const over = new AbortController();
    tokens.onToken = (accessToken) => session.sendToken(accessToken);
    const fresh = tokens.keepFresh(AbortSignal.any([signal, over.signal])).then((dead) => {
      // The router will cut the link as well; running requests get until then.
      if (dead !== undefined) session.drain();
      return dead;
    });
    const end = await session.run(signal);
    this.session = undefined;
    tokens.onToken = undefined;
    over.abort();
    return (await fresh) ?? this.afterLink(end, token.accessToken);
  }

  private afterRefusal(outcome: Exclude<TokenOutcome, { kind: 'token' }>): Next {
    switch (outcome.kind) {
      case 'dead':
        return outcome;
      case 'cancelled':
        return { kind: 'stopped' };
      case 'suspended':
        return this.suspended(outcome);
      case 'unavailable': {
        const delayMs = Math.max(this.backoff.nextMs(), outcome.retryAfterMs ?? 0);
        return { kind: 'wait', delayMs, why: 'unreachable', message: outcome.message };
      }
    }
  }

  private afterLink(end: LinkEnd, accessToken: string): Next {
    if (end.kind === 'not_connected') {
      // A wrong certificate or address is looked at rarely, but it is: a server can be put right.
      const delayMs = end.permanent ? reconnectLongestMs : this.backoff.nextMs();
      return { kind: 'wait', delayMs, why: 'unreachable', message: end.message };
    }
    if (end.heldMs >= linkHeldMs) this.backoff.reset();
    const reason = end.goaway ?? end.reason;
    switch (reason) {
      case 'dead':
        return { kind: 'dead', message: 'The agent was removed: it must enrol again.' };
      case 'fenced':
        return {
          kind: 'fenced',
          message:
            'Another process runs with this agent’s credentials and has taken its place. Give ' +
            'every machine a state directory and a join key of its own.',
        };
      case 'suspended':
        // The next attempt starts with a refresh, whose answer tells whether it was resumed.
        this.parts.tokens.reject(accessToken);
        return {
          kind: 'wait',
          delayMs: this.backoff.nextMs(),
          why: 'suspended',
          message: 'The agent is suspended.',
        };
      case 'unauthorized':
      case 'token_expired':
        this.parts.tokens.reject(accessToken);
        break;
      case 'version_unsupported': {
        const message = 'Server and agent are too far apart in version: install the agent anew.';
        return { kind: 'wait', delayMs: reconnectLongestMs, why: 'unreachable', message };
      }
      default:
        break;
    }
    const message = `The link has ended (${reason}${end.detail === '' ? '' : `: ${end.detail}`}).`;
    return { kind: 'wait', delayMs: this.backoff.nextMs(), why: 'link_lost', message };
  }

  /** A server that holds its answer until the agent is resumed is asked again at once. */
  private suspended({ message, heldMs }: Suspended): Next {
    const isHeld = heldMs >= suspendedHoldMs / 2;
    const share = this.parts.random.float();
    const delayMs = isHeld ? reconnectFirstMs * share : suspendedHoldMs * (0.5 + share);
    return { kind: 'wait', delayMs, why: 'suspended', message };
  }
}
