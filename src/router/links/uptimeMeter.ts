/**
 * Counts for how long private agents are linked, for the bill: spans of time, told about once a
 * minute, again and again until the store takes them.
 *
 * Invariants
 * U1 A span ends where the link did, or at the last telling. Links beside the first one count
 *    nothing. What a crash leaves untold, at most `uptimeEveryMs`, is not charged.
 * U2 Length is measured by a clock that nobody sets: a jump of the time of day charges nothing.
 * U3 A span may be told twice: the store counts each moment once.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Directory } from '../directory.ts';
import { maxUntoldUptimes, uptimeBatch, uptimeEveryMs } from '../limits.ts';
import type { Uptime, UsageSink } from '../ports.ts';

/** A linked agent, and until when its time was taken down. */
interface Linked {
  agentId: string;
  projectId: string;
  /** Monotonic, and the time of day that this was. */
  countedMs: number;
  countedAtMs: number;
}

export class UptimeMeter {
  private readonly sink: Pick<UsageSink, 'uptime'>;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly directory: Pick<Directory, 'agent'>;
  private readonly linked = new Map<string, Linked>();
  /** Oldest first. */
  private untold: Uptime[] = [];
  private lost = 0;
  private telling: Promise<void> | undefined;
  private timer: Timer | undefined;

  constructor(options: {
    sink: Pick<UsageSink, 'uptime'>;
    clock: Clock;
    log: Logger;
    directory: Pick<Directory, 'agent'>;
  }) {
    this.sink = options.sink;
    this.clock = options.clock;
    this.log = options.log;
    this.directory = options.directory;
  }

  start(): void {
    this.timer = this.clock.setTimer(uptimeEveryMs, () => {
      for (const linked of this.linked.values()) this.count(linked);
      this.tell();
      this.start();
    });
  }

  /** Whether an agent is linked now, told whenever that may have changed. */
  note(agentId: string, isLinked: boolean): void {
    const linked = this.linked.get(agentId);
    if (isLinked && linked === undefined) return this.open(agentId);
    if (isLinked || linked === undefined) return;
    this.linked.delete(agentId);
    this.count(linked);
  }

  /** Tells what is left. Resolves when it was told or refused. */
  async stop(): Promise<void> {
    this.timer?.cancel();
    for (const linked of this.linked.values()) this.count(linked);
    this.linked.clear();
    await this.telling;
    this.tell();
    await this.telling;
  }

  /** Shared agents are the platform's own. */
  private open(agentId: string): void {
    const projectId = this.directory.agent(agentId)?.projectId ?? null;
    if (projectId === null) return;
    const [countedMs, countedAtMs] = [this.clock.monotonic(), this.clock.now()];
    this.linked.set(agentId, { agentId, projectId, countedMs, countedAtMs });
  }

  /** U2. */
  private count(linked: Linked): void {
    const { agentId, projectId } = linked;
    const [nowMs, toMs] = [this.clock.monotonic(), this.clock.now()];
    const measuredFromMs = toMs - Math.round(nowMs - linked.countedMs);
    // Rounding makes no gap and no overlap.
    const isNext = Math.abs(measuredFromMs - linked.countedAtMs) <= 1;
    const fromMs = isNext ? linked.countedAtMs : measuredFromMs;
    linked.countedMs = nowMs;
    linked.countedAtMs = toMs;
    if (toMs <= fromMs) return;
    if (this.untold.length >= maxUntoldUptimes) {
      this.untold.shift();
      this.lost += 1;
    }
    this.untold.push({ agentId, projectId, fromMs, toMs });
  }

  private tell(): void {
    // It never rejects; what was refused is told again after a while.
    this.telling ??= this.tellAll().then(() => {
      this.telling = undefined;
    });
  }

  private async tellAll(): Promise<void> {
    while (this.untold.length > 0) {
      const batch = this.untold.slice(0, uptimeBatch);
      try {
        await this.sink.uptime(batch);
      } catch (error) {
        this.log.warn({ err: error, spans: this.untold.length }, 'uptime cannot be told');
        return;
      }
      const told = new Set(batch);
      this.untold = this.untold.filter((one) => !told.has(one));
    }
    if (this.lost > 0) this.log.warn({ spans: this.lost }, 'uptime was lost and is not charged');
    this.lost = 0;
  }
}
