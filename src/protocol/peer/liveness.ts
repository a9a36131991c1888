/**
 * Whether the other end of a link still lives: one coarse timer, PING both ways, any frame counts.
 *
 * Invariants
 * V1 A link is silent when no frame came for `silentAfterMs` of time in which this process could
 *    have heard one: time that a blocked event loop or a suspended machine slept through is not
 *    counted, and the verdict falls only after the input that was pending has been read.
 * V2 Nothing runs per frame: the reader writes `lastFrameAtMs`, the timer reads it.
 * V3 A handshake that takes longer than `handshakeTimeoutMs` is silent too, whatever comes.
 * V4 The router says in WELCOME how long it bears silence; the agent pings so often that an honest
 *    link is never that silent, and takes the same silence for the end of its router.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { LinkLimits } from '../limits.ts';

export interface LivenessEvents {
  /** Once per tick: send a PING with this counter, start new counts of what is bounded per tick. */
  onTick(pingCounter: number | undefined): void;
  onSilent(detail: string): void;
}

/** Weight of a new sample in the smoothed round-trip time (RFC 6298 takes the same). */
const rttGain = 1 / 8;

export class Liveness {
  /** Monotonic ms of the last frame; written by the reader for each message (V2). */
  lastFrameAtMs: number;
  private readonly clock: Clock;
  private readonly limits: LinkLimits;
  private readonly events: LivenessEvents;
  private readonly startedAtMs: number;
  private pingIntervalMs: number;
  private silentAfterMs: number;
  private timer: Timer | undefined;
  private dueAtMs = 0;
  private tickedAtMs: number;
  /** Slept through since the last frame. */
  private asleepMs = 0;
  private established = false;
  private pingCounter = 0;
  private pingSentAtMs: number | undefined;
  private smoothedRttMs: number | undefined;

  constructor(options: { clock: Clock; limits: LinkLimits; events: LivenessEvents }) {
    this.clock = options.clock;
    this.limits = options.limits;
    this.events = options.events;
    this.pingIntervalMs = this.limits.pingIntervalMs;
    this.silentAfterMs = this.limits.silentAfterMs;
    this.startedAtMs = this.clock.monotonic();
    this.lastFrameAtMs = this.startedAtMs;
    this.tickedAtMs = this.startedAtMs;
    this.arm();
  }

  /** Smoothed round trip in ms; undefined until the first PONG. */
  get rttMs(): number | undefined {
    return this.smoothedRttMs;
  }

  /**
   * Keeps to the spans that the other end has told, where they are shorter than this end's own and
   * no shorter than what is sensible. Both in ms.
   */
  agree(theirs: { pingIntervalMs: number; silentAfterMs: number }): void {
    const { limits } = this;
    const { leastPingIntervalMs, leastSilentAfterMs } = limits;
    const ping = Math.max(theirs.pingIntervalMs, leastPingIntervalMs);
    const silent = Math.max(theirs.silentAfterMs, leastSilentAfterMs);
    this.pingIntervalMs = Math.min(ping, limits.pingIntervalMs);
    this.silentAfterMs = Math.min(silent, limits.silentAfterMs);
  }

  /** The handshake is over: PINGs may go, and silence counts from the last frame. */
  establish(): void {
    this.established = true;
    this.ping();
    this.arm();
  }

  /** A PONG came. Only the one for the last PING says something about time. */
  pong(counter: number): void {
    if (counter !== this.pingCounter || this.pingSentAtMs === undefined) return;
    const sampleMs = this.clock.monotonic() - this.pingSentAtMs;
    this.pingSentAtMs = undefined;
    this.smoothedRttMs =
      this.smoothedRttMs === undefined
        ? sampleMs
        : this.smoothedRttMs + rttGain * (sampleMs - this.smoothedRttMs);
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private arm(): void {
    const now = this.clock.monotonic();
    const leftMs = Math.max(1, this.limitMs() - this.silentForMs(now));
    const delayMs = Math.min(this.pingIntervalMs, leftMs);
    this.timer?.cancel();
    this.dueAtMs = now + delayMs;
    this.timer = this.clock.setTimer(delayMs, () => this.tick());
  }

  private tick(): void {
    const now = this.clock.monotonic();
    if (this.lastFrameAtMs >= this.tickedAtMs) this.asleepMs = 0;
    this.tickedAtMs = now;
    const lateMs = now - this.dueAtMs;
    if (lateMs > this.pingIntervalMs) this.asleepMs += lateMs;
    this.timer = undefined;
    if (this.silentForMs(now) >= this.limitMs()) return this.judge();
    this.ping();
    this.arm();
  }

  private ping(): void {
    if (!this.established) return this.events.onTick(undefined);
    this.pingCounter = (this.pingCounter + 1) >>> 0;
    this.pingSentAtMs = this.clock.monotonic();
    this.events.onTick(this.pingCounter);
  }

  private limitMs(): number {
    return this.established ? this.silentAfterMs : this.limits.handshakeTimeoutMs;
  }

  private silentForMs(now: number): number {
    const since = this.established ? this.lastFrameAtMs : this.startedAtMs;
    return now - since - this.asleepMs;
  }

  /** V1: what the kernel holds for us is read in the poll phase, between these two turns. */
  private judge(): void {
    setImmediate(() => setImmediate(() => this.pronounce()));
    // Standing in for the timer: a stop before the verdict cancels the verdict.
    this.timer = { cancel: () => {} };
  }

  private pronounce(): void {
    if (this.timer === undefined) return;
    const silentMs = this.silentForMs(this.clock.monotonic());
    if (silentMs < this.limitMs()) return this.arm();
    this.stop();
    const what = this.established ? 'no frame' : 'no end of the handshake';
    this.events.onSilent(`${what} for ${Math.round(silentMs)} ms`);
  }
}
