/**
 * One connection from outside, from the first byte: CHALLENGE, HELLO, judgement, WELCOME, and then
 * the control messages of an agent that has proved who it is.
 *
 *     challenged ──HELLO──▶ judging ──accepted──▶ linked ──▶ closed
 *                              └──turned away──▶ closed        (the link's death: from everywhere)
 */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import { linkLimits, type LinkLimits } from '../../protocol/limits.ts';
import type {
  ClosedBy,
  LinkCloseReason,
  RouterPeer,
  RouterPeerHandlers,
  Transport,
} from '../../protocol/link.ts';
import type {
  AgentControl,
  HeartbeatMessage,
  HelloMessage,
  LogMessage,
} from '../../protocol/messages/agentControl.ts';
import type { EndMessage } from '../../protocol/messages/end.ts';
import { createRouterPeer } from '../../protocol/mux.ts';
import { linkVersions } from '../../protocol/version.ts';
import type { Directory } from '../directory.ts';
import { maxTokensPerMinute } from '../limits.ts';
import { AgentLink } from './agentLink.ts';
import { drains, judgeHello, judgeToken, type Accepted, type Turned } from './handshake.ts';

/** Whom a session reports to: the registry. */
export interface LinkOwner {
  /** The link is welcome: it is the registry's from here on. */
  onLinked(link: AgentLink): void;
  /** What it grants has changed. */
  onGrant(link: AgentLink): void;
  onHeartbeat(link: AgentLink, message: HeartbeatMessage): void;
  onLog(link: AgentLink, message: LogMessage): void;
  onTrailers(link: AgentLink, ends: readonly EndMessage[]): void;
  /** Linked or not, the session is over. `link` is undefined for one that never was linked. */
  onClosed(link: AgentLink | undefined, why: { reason: LinkCloseReason; detail: string }): void;
}

interface SessionOptions {
  directory: Directory;
  clock: Clock;
  random: Random;
  log: Logger;
  routerId: string;
  address: string;
  /** Other bounds than the product's; told to the agent where it has to keep to them. */
  linkLimits?: Partial<LinkLimits>;
  owner: LinkOwner;
}

type Phase =
  | { is: 'challenged'; nonce: string }
  | { is: 'judging' }
  | { is: 'linked'; link: AgentLink }
  | { is: 'closed' };

const nonceBytes = 24;
const minuteMs = 60_000;

export class LinkSession implements RouterPeerHandlers {
  private readonly options: SessionOptions;
  private readonly peer: RouterPeer;
  private phase: Phase;
  /** TOKEN messages since a moment: no agent has a new one each second. */
  private tokens = { count: 0, sinceMs: -Infinity };

  constructor(transport: Transport, options: SessionOptions) {
    this.options = options;
    const nonce = options.random.bytes(nonceBytes).toString('base64url');
    this.phase = { is: 'challenged', nonce };
    const { clock, linkLimits: limits = {} } = options;
    this.peer = createRouterPeer(transport, { clock, limits, handlers: this });
  }

  /** Says the first word. */
  greet(): void {
    if (this.phase.is !== 'challenged') return;
    const { nonce } = this.phase;
    this.peer.send({ type: 'challenge', nonce, versions: [...linkVersions] });
  }

  /** Ends a session, whoever it belongs to. */
  close(reason: LinkCloseReason): void {
    this.peer.close(reason);
  }

  onControl(message: AgentControl): void {
    const { phase } = this;
    if (message.type === 'hello') {
      // It never rejects: a bad HELLO is an outcome.
      if (phase.is === 'challenged') void this.judge(message, phase.nonce);
      return;
    }
    if (phase.is === 'linked') this.onLinkedControl(phase.link, message);
  }

  onClose(reason: LinkCloseReason, detail: string, by: ClosedBy): void {
    const link = this.phase.is === 'linked' ? this.phase.link : undefined;
    this.phase = { is: 'closed' };
    if (link !== undefined) link.phase = 'closed';
    const { log, address, owner } = this.options;
    log.info({ agentId: link?.agentId, address, reason, detail, by }, 'agent link closed');
    owner.onClosed(link, { reason, detail });
  }

  private async judge(hello: HelloMessage, nonce: string): Promise<void> {
    this.phase = { is: 'judging' };
    const verdict = await judgeHello(hello, { ...this.options, nonce });
    // The connection may have died while the directory was asked.
    if ((this.phase as Phase).is !== 'judging') return;
    if (verdict.ok) this.welcome(hello, verdict);
    else this.turnAway(verdict, hello.agentId);
  }

  private welcome(hello: HelloMessage, accepted: Accepted): void {
    const { agent, version, tokenExpiresAtMs } = accepted;
    const { routerId, owner, address } = this.options;
    const { instance: nonce, link: number, agentVersion } = hello;
    const { peer } = this;
    const who = { agentId: agent.id, nonce, number, agentVersion };
    const link = new AgentLink({ ...who, peer, address, tokenExpiresAtMs });
    this.phase = { is: 'linked', link };
    const { pingIntervalMs, silentAfterMs } = { ...linkLimits, ...this.options.linkLimits };
    const { name: agentName } = agent;
    peer.send({ type: 'welcome', version, routerId, agentName, pingIntervalMs, silentAfterMs });
    owner.onLinked(link);
  }

  private turnAway(turned: Turned, agentId: string): void {
    const { log, address } = this.options;
    const { reason, detail, goaway } = turned;
    log.warn({ agentId, address, reason, detail }, 'agent link refused');
    if (goaway !== undefined) this.peer.send({ type: 'goaway', reason: goaway });
    this.peer.close(reason, detail);
  }

  private onLinkedControl(link: AgentLink, message: Exclude<AgentControl, HelloMessage>): void {
    const { owner } = this.options;
    switch (message.type) {
      case 'grant':
        link.grant(message.instances);
        return owner.onGrant(link);
      case 'heartbeat':
        return owner.onHeartbeat(link, message);
      case 'token':
        // It never rejects: a bad token is an outcome.
        return void this.renew(link, message.accessToken);
      case 'log':
        return owner.onLog(link, message);
      case 'trailers':
        return owner.onTrailers(link, message.ends);
      case 'goaway':
        link.phase = 'draining';
        return owner.onGrant(link);
    }
  }

  private floodsTokens(): boolean {
    const nowMs = this.options.clock.monotonic();
    if (nowMs - this.tokens.sinceMs >= minuteMs) this.tokens = { count: 0, sinceMs: nowMs };
    this.tokens.count += 1;
    return this.tokens.count > maxTokensPerMinute;
  }

  private async renew(link: AgentLink, accessToken: string): Promise<void> {
    if (this.floodsTokens()) return this.peer.close('protocol_error', 'flood of tokens');
    const { agentId } = link;
    const verdict = await judgeToken(accessToken, { ...this.options, agentId });
    if (this.phase.is !== 'linked') return;
    if (verdict.ok) link.tokenExpiresAtMs = verdict.tokenExpiresAtMs;
    // Its present token is as good as it was: the link lives as long as that one.
    else if (verdict.notKnownNow === true) return;
    else if (!this.mayFinish(agentId)) this.turnAway(verdict, agentId);
  }

  /** A token that crossed the order to stop is no reason to cut what may finish. */
  private mayFinish(agentId: string): boolean {
    const agent = this.options.directory.agent(agentId);
    return agent !== undefined && drains(agent);
  }
}
