/**
 * The agent: a machine's end of the platform. It joins a server once, keeps a link to it, holds the
 * models that it is asked to hold and answers what comes over the link with its engine.
 *
 * Parts: `servingAgent.ts` (the agent as a member), `joining/` (state, keys, enrolment, tokens,
 * hardware), `linking/` (link, supervisor, log, trailers), `serving/` (requests, slots, models,
 * wire-final bytes), `engines/`, `models/`, `health/` (what HEARTBEAT says).
 * `docs/internals/agent.md` tells how they work together.
 *
 * Invariant
 * G3 `run` ends in one place and leaves nothing running: link, engine, timers, lock.
 */
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import type { AgentConfig } from './agentConfig.ts';
import type { AgentEvent } from './agentEvent.ts';
import type { Engine, ModelEnsurer } from './engines/engine.ts';
import { HealthProbe } from './health/healthProbe.ts';
import { probeHardware, thisMachine } from './joining/hardware.ts';
import {
  findMembership,
  joinAnew,
  type Membership,
  type MembershipParts,
} from './joining/membership.ts';
import { openState, type StateStore } from './joining/stateFile.ts';
import type { AgentLog } from './linking/agentLog.ts';
import type { SupervisorEnd } from './linking/supervisor.ts';
import { ServingAgent } from './servingAgent.ts';

export interface AgentParts {
  config: AgentConfig;
  /** Builds the engine; `log` also goes to the owner's page. */
  createEngine: (parts: { log: Logger; engineLine: AgentLog['engineLine'] }) => Engine;
  /** Null where the engine needs no files. */
  models: ModelEnsurer | null;
  clock: Clock;
  random: Random;
  log: Logger;
  onEvent: (event: AgentEvent) => void;
}

export type AgentEnd =
  /** Drained or stopped as it was told. */
  | { kind: 'stopped' }
  /** It cannot go on; the sentence says what to do. */
  | { kind: 'refused'; message: string }
  /** The state directory cannot be used, or another agent uses it: later it may be free. */
  | { kind: 'unusable'; message: string };

export interface Agent {
  /**
   * Runs until it is told to stop, or cannot go on. Aborting the signal stops it at once. Call
   * once.
   */
  run(signal: AbortSignal): Promise<AgentEnd>;
  /** Takes nothing new; `run` resolves when what runs has ended. Idempotent. */
  drain(): void;
}

/** Puts an agent together; nothing happens before `run`. */
export function createAgent(parts: AgentParts): Agent {
  return new RunningAgent(parts);
}

class RunningAgent implements Agent {
  private readonly parts: AgentParts;
  private readonly serving: ServingAgent;
  private readonly leaving = new AbortController();
  private readonly health: HealthProbe;

  constructor(parts: AgentParts) {
    this.parts = parts;
    this.health = new HealthProbe({ clock: parts.clock, source: thisMachine });
    this.serving = new ServingAgent({ ...parts, machineHealth: () => this.health.latest() });
  }

  async run(signal: AbortSignal): Promise<AgentEnd> {
    const { config, clock, random } = this.parts;
    const opened = await openState({ directory: config.stateDir, clock, random });
    if (opened.kind === 'unusable') return opened;
    const over = new AbortController();
    const looking = this.health.run(over.signal);
    try {
      return await this.runWith(
        opened.store,
        AbortSignal.any([signal, this.leaving.signal]),
        signal,
      );
    } finally {
      over.abort();
      await looking;
      this.serving.stop();
      await this.serving.engine.stop();
      await opened.store.close();
    }
  }

  drain(): void {
    this.leaving.abort();
    this.serving.drain();
  }

  /** `leaving` ends what leads to a link, `cut` ends the link too. */
  private async runWith(
    store: StateStore,
    leaving: AbortSignal,
    cut: AbortSignal,
  ): Promise<AgentEnd> {
    const joining = this.joiningParts(store, leaving);
    const found = await findMembership(joining);
    if (found.kind !== 'member') return found.kind === 'refused' ? found : { kind: 'stopped' };
    await this.serving.engine.start(leaving);
    const end = await this.serveAndClose(found.membership, store, cut);
    if (end.kind !== 'dead') return endOf(end);
    const again = await joinAnew(joining, found.membership);
    if (again === undefined) return endOf(end);
    this.serving.log.warn({ detail: end.message }, 'joining anew with the given join key');
    if (again.kind !== 'member') return again.kind === 'refused' ? again : { kind: 'stopped' };
    return endOf(await this.serveAndClose(again.membership, store, cut));
  }

  private joiningParts(store: StateStore, signal: AbortSignal): MembershipParts {
    const { config, clock, random } = this.parts;
    return {
      config,
      store,
      clock,
      random,
      signal,
      facts: () =>
        probeHardware({ agentVersion: config.agentVersion, engine: this.serving.engine.kind }),
      onRetry: ({ message, delayMs }) => {
        this.serving.log.warn(
          { detail: message, delayMs: Math.round(delayMs) },
          'enrolment is tried again',
        );
        this.parts.onEvent({ kind: 'unlinked', message });
      },
    };
  }

  private async serveAndClose(
    membership: Membership,
    store: StateStore,
    cut: AbortSignal,
  ): Promise<SupervisorEnd> {
    try {
      return await this.serving.serve(membership, store, cut);
    } finally {
      membership.client.close();
    }
  }
}

function endOf(end: SupervisorEnd): AgentEnd {
  return end.kind === 'stopped' ? end : { kind: 'refused', message: end.message };
}
