/**
 * Tells the control plane who is there, without ever waiting for it: when agents were last seen (at
 * most once a minute each), and what happened on their links. A store that is away loses nothing
 * but, beyond the bound, the oldest events.
 */
import { BoundedQueue } from '../../lib/boundedQueue.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { maxPendingPresenceEvents, seenEveryMs } from '../limits.ts';
import type { PresenceSink } from '../ports.ts';

type PresenceEvent = Parameters<PresenceSink['event']>[0];

export class PresenceReporter {
  private readonly sink: PresenceSink;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly events = new BoundedQueue<PresenceEvent>({
    maxItems: maxPendingPresenceEvents,
  });
  private readonly toldAtMs = new Map<string, number>();
  /** The telling under way: one at a time keeps the events in order. */
  private telling: Promise<void> | undefined;
  private lost = 0;
  /** When agents were last seen, as far as nobody was told yet. */
  private readonly dueSeen = new Map<string, number>();
  private tellingSeen: Promise<void> | undefined;

  constructor(options: { sink: PresenceSink; clock: Clock; log: Logger }) {
    this.sink = options.sink;
    this.clock = options.clock;
    this.log = options.log;
  }

  /** Something happened on an agent's links. */
  event(event: { agentId: string; kind: string; detail: string }): void {
    if (this.events.push({ ...event, atMs: this.clock.now() }) === 'full') this.lost += 1;
    this.tell();
  }

  /** These agents are linked now; those that were not told of for a minute are told. */
  seen(agents: Iterable<{ agentId: string; lastFrameAtMs: number }>): void {
    if (this.events.size > 0) this.tell();
    const nowMs = this.clock.monotonic();
    const wallOffsetMs = this.clock.now() - nowMs;
    for (const { agentId, lastFrameAtMs } of agents) {
      if (nowMs - (this.toldAtMs.get(agentId) ?? -Infinity) < seenEveryMs) continue;
      this.toldAtMs.set(agentId, nowMs);
      this.dueSeen.set(agentId, Math.round(wallOffsetMs + lastFrameAtMs));
    }
    // It never rejects; what is lost is told again within a minute.
    this.tellingSeen ??= this.tellSeen().then(() => {
      this.tellingSeen = undefined;
    });
  }

  /** The agent's last link is down: its next `seen` is told at once. */
  forget(agentId: string): void {
    this.toldAtMs.delete(agentId);
  }

  /** Resolves when the events that wait were told or refused. */
  async stop(): Promise<void> {
    this.tell();
    await this.telling;
  }

  private tell(): void {
    // It never rejects; what was refused is told again with the next event or sweep.
    this.telling ??= this.tellEvents().then(() => {
      this.telling = undefined;
    });
  }

  private async tellEvents(): Promise<void> {
    for (let event = this.events.peek(); event !== undefined; event = this.events.peek()) {
      try {
        await this.sink.event(event);
        this.events.shift();
      } catch (error) {
        this.log.warn({ err: error, waiting: this.events.size }, 'agent events cannot be told');
        return;
      }
    }
    if (this.lost > 0) this.log.warn({ lost: this.lost }, 'agent events were lost');
    this.lost = 0;
  }

  /** One batch at a time: behind a slow store they become fewer and larger, and not more. */
  private async tellSeen(): Promise<void> {
    while (this.dueSeen.size > 0) {
      const batch = [...this.dueSeen].map(([agentId, lastSeenAtMs]) => ({ agentId, lastSeenAtMs }));
      this.dueSeen.clear();
      try {
        await this.sink.seen(batch);
      } catch (error) {
        this.log.warn({ err: error, agents: batch.length }, 'last_seen_at cannot be told');
      }
    }
  }
}
