/**
 * One link to a router, from dialling to its end.
 *
 *     dialling ─▶ greeting (CHALLENGE, HELLO) ─▶ up (WELCOME) ─▶ draining ─▶ closed
 *
 * Invariants
 * N1 One terminal path, `settle`: whatever ends the link resolves `run` once and stops its timers.
 * N2 While it drains nothing new is taken; it closes itself when the last stream has ended.
 * N3 HEARTBEAT goes out every 5 s, and at once when a model's state has changed.
 * N4 Log lines go out only while the network keeps up, and never faster than their allowance: they
 *    travel before all streams, so they must not be able to hold one up.
 */
import { Allowance } from '../../lib/allowance.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type {
  AgentPeer,
  ClosedBy,
  LinkCloseReason,
  LinkStream,
  StreamHandlers,
  Transport,
} from '../../protocol/link.ts';
import type { GrantMessage, HeartbeatMessage } from '../../protocol/messages/agentControl.ts';
import type { OpenMessage } from '../../protocol/messages/open.ts';
import type { ConfigMessage, RouterControl } from '../../protocol/messages/routerControl.ts';
import { createAgentPeer } from '../../protocol/mux.ts';
import { helloMessage } from '../../protocol/signing.ts';
import { linkVersions } from '../../protocol/version.ts';
import type { Identity } from '../joining/identity.ts';
import {
  drainCheckMs,
  drainTimeoutMs,
  heartbeatIntervalMs,
  logFlushIntervalMs,
  logRate,
} from '../limits.ts';
import type { AgentLog } from './agentLog.ts';
import type { Dial } from './dial.ts';
import type { TrailerStore } from './trailers.ts';

export type GoawayReason = Extract<RouterControl, { type: 'goaway' }>['reason'];
type Welcome = Extract<RouterControl, { type: 'welcome' }>;

export type LinkEnd =
  | { kind: 'not_connected'; message: string; permanent: boolean }
  | {
      kind: 'closed';
      reason: LinkCloseReason;
      detail: string;
      by: ClosedBy;
      /** Time from WELCOME; 0 when it never came. */
      heldMs: number;
      /** What the router announced before, if it did. */
      goaway: GoawayReason | undefined;
    };

export interface LinkParts {
  url: URL;
  pin: string | null;
  identity: Identity;
  agentId: string;
  /** Random per start of the agent. */
  instance: string;
  agentVersion: string;
  accessToken: string;
  clock: Clock;
  /** Opens its connection. */
  dial: Dial;
  log: Logger;
  agentLog: AgentLog;
  trailers: TrailerStore;
  /** What the agent says of itself, asked whenever it is said. */
  grant: () => GrantMessage;
  heartbeat: () => HeartbeatMessage;
  onOpen: (open: OpenMessage, stream: LinkStream) => StreamHandlers;
  onConfig: (config: ConfigMessage) => void;
  onUp: (welcome: Welcome) => void;
}

type Phase =
  | { kind: 'dialling' }
  | { kind: 'greeting'; peer: AgentPeer }
  | { kind: 'up'; peer: AgentPeer; sinceMs: number; heartbeat: Timer }
  | {
      kind: 'draining';
      peer: AgentPeer;
      sinceMs: number;
      heartbeat: Timer;
      check: Timer;
      deadlineMs: number;
    }
  | { kind: 'closed' };

const ignored: StreamHandlers = { onData: () => {}, onEnd: () => {}, onReset: () => {} };

export class LinkSession {
  private readonly parts: LinkParts;
  private phase: Phase = { kind: 'dialling' };
  private goaway: GoawayReason | undefined;
  private newerToken: string | undefined;
  private logFlush: Timer | undefined;
  private readonly logAllowance: Allowance;
  private readonly giveUpDial = new AbortController();
  private settle: (end: LinkEnd) => void = () => {};

  constructor(parts: LinkParts) {
    this.parts = parts;
    this.logAllowance = new Allowance(logRate, parts.clock.monotonic());
  }

  /** Dials and holds the link until it ends; aborting the signal cuts it. Call once. */
  async run(signal: AbortSignal): Promise<LinkEnd> {
    const ended = new Promise<LinkEnd>((resolve) => {
      this.settle = resolve;
    });
    const cut = (): void => this.close('shutting_down');
    signal.addEventListener('abort', cut, { once: true });
    const dialled = await this.parts.dial({
      url: this.parts.url,
      pin: this.parts.pin,
      clock: this.parts.clock,
      signal: AbortSignal.any([signal, this.giveUpDial.signal]),
      onOpen: (transport) => this.greet(transport),
    });
    const end =
      dialled.kind === 'open' ? await ended : ({ ...dialled, kind: 'not_connected' } as const);
    signal.removeEventListener('abort', cut);
    return end;
  }

  /** A model's state has changed: the router hears of it at once (N3). */
  announce(): void {
    if (this.phase.kind === 'up') this.phase.peer.send(this.parts.heartbeat());
  }

  /** The capacity has changed. */
  regrant(): void {
    if (this.phase.kind === 'up') this.phase.peer.send(this.parts.grant());
  }

  /** A fresh access token; one that comes before WELCOME goes out right after it. */
  sendToken(accessToken: string): void {
    const { phase } = this;
    this.newerToken = accessToken;
    if (phase.kind !== 'up' && phase.kind !== 'draining') return;
    phase.peer.send({ type: 'token', accessToken });
  }

  /** Takes nothing new, ends when what runs has ended. Idempotent. */
  drain(): void {
    if (this.phase.kind === 'up') {
      this.phase.peer.send({ type: 'goaway', reason: 'draining' });
      this.enterDraining();
    } else if (this.phase.kind !== 'draining') this.close('going_away');
  }

  private close(reason: LinkCloseReason): void {
    const { phase } = this;
    if (phase.kind === 'dialling') this.giveUpDial.abort();
    else if (phase.kind !== 'closed') phase.peer.close(reason);
  }

  private greet(transport: Transport): void {
    const peer = createAgentPeer(transport, {
      clock: this.parts.clock,
      handlers: {
        onControl: (message) => this.onControl(message),
        onOpen: (open, stream) => this.onOpen(open, stream),
        onClose: (reason, detail, by) => this.onClose({ reason, detail, by }),
      },
    });
    this.phase = { kind: 'greeting', peer };
  }

  private onControl(message: RouterControl): void {
    switch (message.type) {
      case 'challenge':
        return this.hello(message.nonce);
      case 'welcome':
        return this.welcome(message);
      case 'config':
        return this.parts.onConfig(message);
      case 'ack':
        return this.parts.trailers.acknowledge(message.requestIds);
      case 'goaway':
        return this.onGoaway(message.reason);
    }
  }

  private hello(nonce: string): void {
    if (this.phase.kind !== 'greeting') return;
    const { identity, agentId, instance, accessToken, agentVersion } = this.parts;
    const link = 0;
    const proof = helloMessage({ nonce, agentId, instance, link, accessToken });
    this.phase.peer.send({
      type: 'hello',
      versions: [...linkVersions],
      agentVersion,
      agentId,
      instance,
      link,
      accessToken,
      signature: identity.sign(proof),
    });
  }

  private welcome(message: Welcome): void {
    if (this.phase.kind !== 'greeting') return;
    const { peer } = this.phase;
    if (!linkVersions.includes(message.version)) return peer.close('version_unsupported');
    const { clock, agentLog, trailers } = this.parts;
    const heartbeat = this.nextHeartbeat();
    this.phase = { kind: 'up', peer, sinceMs: clock.monotonic(), heartbeat };
    if (this.newerToken !== undefined) peer.send({ type: 'token', accessToken: this.newerToken });
    peer.send(this.parts.grant());
    peer.send(this.parts.heartbeat());
    for (const ends of trailers.portions()) peer.send({ type: 'trailers', ends });
    agentLog.onLines = () => this.scheduleLogs();
    this.scheduleLogs();
    this.parts.onUp(message);
  }

  private onOpen(open: OpenMessage, stream: LinkStream): StreamHandlers {
    if (this.phase.kind === 'up') return this.parts.onOpen(open, stream);
    stream.reset('not_granted', 'the agent is draining');
    return ignored;
  }

  private onGoaway(reason: GoawayReason): void {
    this.parts.log.info({ reason }, 'the router ends this link');
    this.goaway = reason;
    if (this.phase.kind === 'up') this.enterDraining();
  }

  private enterDraining(): void {
    if (this.phase.kind !== 'up') return;
    const { peer, sinceMs, heartbeat } = this.phase;
    const deadlineMs = this.parts.clock.monotonic() + drainTimeoutMs;
    const check = this.nextDrainCheck();
    this.phase = { kind: 'draining', peer, sinceMs, heartbeat, check, deadlineMs };
  }

  private nextHeartbeat(): Timer {
    return this.parts.clock.setTimer(heartbeatIntervalMs, () => {
      const { phase } = this;
      if (phase.kind !== 'up' && phase.kind !== 'draining') return;
      phase.peer.send(this.parts.heartbeat());
      phase.heartbeat = this.nextHeartbeat();
    });
  }

  /**
   * A stream ends for the link when its END has left, of which nobody tells: so it is looked at.
   */
  private nextDrainCheck(): Timer {
    return this.parts.clock.setTimer(drainCheckMs, () => {
      const { phase } = this;
      if (phase.kind !== 'draining') return;
      const late = this.parts.clock.monotonic() >= phase.deadlineMs;
      if (late || phase.peer.openStreams() === 0) return phase.peer.close('going_away');
      phase.check = this.nextDrainCheck();
    });
  }

  private scheduleLogs(): void {
    this.logFlush ??= this.parts.clock.setTimer(logFlushIntervalMs, () => {
      this.logFlush = undefined;
      if (this.flushLogs() === 'more') this.scheduleLogs();
    });
  }

  /** N4. */
  private flushLogs(): 'none' | 'more' {
    const { phase, logAllowance } = this;
    if (phase.kind !== 'up' && phase.kind !== 'draining') return 'none';
    const nowMs = this.parts.clock.monotonic();
    while (logAllowance.left(nowMs) > 0 && !phase.peer.congested()) {
      const message = this.parts.agentLog.take();
      if (message === undefined) return 'none';
      phase.peer.send(message);
      logAllowance.owe(Buffer.byteLength(JSON.stringify(message)), nowMs);
    }
    return 'more';
  }

  /** N1. */
  private onClose(closed: { reason: LinkCloseReason; detail: string; by: ClosedBy }): void {
    const { phase, goaway } = this;
    if (phase.kind === 'closed') return;
    this.phase = { kind: 'closed' };
    this.logFlush?.cancel();
    this.parts.agentLog.onLines = undefined;
    let heldMs = 0;
    if (phase.kind === 'up' || phase.kind === 'draining') {
      phase.heartbeat.cancel();
      heldMs = this.parts.clock.monotonic() - phase.sinceMs;
    }
    if (phase.kind === 'draining') phase.check.cancel();
    this.settle({ kind: 'closed', ...closed, heldMs, goaway });
  }
}
