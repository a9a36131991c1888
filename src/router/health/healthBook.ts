/**
 * How agents are: the last heartbeat of each that has a link, and samples of them over time for
 * whoever keeps them.
 *
 * Why 100,000 agents fit: of each the last heartbeat is kept as its text (about 1 KiB) and the sum
 * of a span (about 400 bytes). A span lasts `healthSpanMs`, or so long that all agents make no
 * more than `healthSamplesPerDay`; spans begin at random, so that samples leave in a trickle of
 * batches and never all at once.
 *
 * Invariants
 * H1 Nothing waits for a sample: one that cannot be told is dropped, the oldest first.
 * H2 An agent is an untrusted peer: what it says is bounded before it is kept.
 */
import { HealthSum, type HealthSample } from '../../domain/agents/agentHealth.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { HeartbeatMessage } from '../../protocol/messages/agentControl.ts';
import {
  healthBatch,
  healthSamplesPerDay,
  healthSpanMs,
  healthTickMs,
  maxEngineNumbers,
  maxPendingHealthSamples,
} from '../limits.ts';
import type { HealthSink } from '../ports.ts';
import { healthNumbers } from './healthNumbers.ts';

export interface AgentHealth {
  /** Epoch ms. */
  receivedAtMs: number;
  heartbeat: HeartbeatMessage;
}

interface Known {
  last: { receivedAtMs: number; text: string } | undefined;
  sum: HealthSum;
  /** Monotonic: when the span ends. */
  dueAtMs: number;
}

const dayMs = 86_400_000;

export class HealthBook {
  private readonly sink: HealthSink;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly log: Logger;
  private readonly known = new Map<string, Known>();
  private readonly pending: HealthSample[] = [];
  private telling: Promise<void> | undefined;
  private timer: Timer | undefined;
  private dropped = 0;

  constructor(options: { sink: HealthSink; clock: Clock; random: Random; log: Logger }) {
    this.sink = options.sink;
    this.clock = options.clock;
    this.random = options.random;
    this.log = options.log;
  }

  start(): void {
    this.timer = this.clock.setTimer(healthTickMs, () => {
      this.tick();
      this.start();
    });
  }

  stop(): void {
    this.timer?.cancel();
  }

  /** A heartbeat has come. */
  take(agentId: string, heartbeat: HeartbeatMessage): void {
    let known = this.known.get(agentId);
    if (known === undefined) {
      // The first span is a part of one, so that agents that come together sample apart.
      const dueAtMs = this.clock.monotonic() + this.random.float() * this.spanMs();
      known = { last: undefined, sum: new HealthSum(), dueAtMs };
      this.known.set(agentId, known);
    }
    const text = JSON.stringify(bounded(heartbeat));
    known.last = { receivedAtMs: this.clock.now(), text };
    known.sum.add(healthNumbers(heartbeat));
  }

  /** The last one of an agent that has a link. */
  latest(agentId: string): AgentHealth | undefined {
    const last = this.known.get(agentId)?.last;
    if (last === undefined) return undefined;
    const { receivedAtMs, text } = last;
    return { receivedAtMs, heartbeat: JSON.parse(text) as HeartbeatMessage };
  }

  /** The agent's link is down: what it said last is not so any more. */
  forget(agentId: string): void {
    const known = this.known.get(agentId);
    if (known !== undefined) known.last = undefined;
  }

  /** Samples that wait to be told. */
  get waiting(): number {
    return this.pending.length;
  }

  private spanMs(): number {
    return Math.max(healthSpanMs, (this.known.size * dayMs) / healthSamplesPerDay);
  }

  private tick(): void {
    const nowMs = this.clock.monotonic();
    const atMs = this.clock.now();
    const spanMs = this.spanMs();
    for (const [agentId, known] of this.known) {
      if (nowMs < known.dueAtMs) continue;
      known.dueAtMs = nowMs + spanMs;
      if (known.sum.size > 0) this.pending.push({ agentId, atMs, ...known.sum.take() });
      else this.known.delete(agentId);
    }
    const excess = this.pending.length - maxPendingHealthSamples;
    if (excess > 0) this.dropped += this.pending.splice(0, excess).length;
    // It never rejects; what comes meanwhile goes with the next tick.
    this.telling ??= this.tell().then(() => {
      this.telling = undefined;
    });
  }

  /** H1. */
  private async tell(): Promise<void> {
    while (this.pending.length > 0) {
      const batch = this.pending.splice(0, healthBatch);
      try {
        await this.sink.record(batch);
      } catch (error) {
        this.dropped += batch.length;
        this.log.warn({ err: error, dropped: this.dropped }, 'health samples cannot be kept');
        return;
      }
    }
  }
}

/** H2. */
function bounded(heartbeat: HeartbeatMessage): HeartbeatMessage {
  const engines = heartbeat.engines.map(({ metrics, ...engine }) => {
    if (metrics === undefined) return engine;
    return {
      ...engine,
      metrics: Object.fromEntries(Object.entries(metrics).slice(0, maxEngineNumbers)),
    };
  });
  // Models and their cache are kept with the link.
  const { storage: _storage, ...rest } = heartbeat;
  return { ...rest, models: [], engines };
}
