/**
 * Looks at the machine now and then, beside everything else: a driver's tool takes seconds when it
 * has a bad day, so HEARTBEAT never waits for it and says what was seen last.
 *
 * Invariants
 * H1 One look at a time; a tool is bounded by `ProbeSource`, and not asked again soon where it is
 *    missing.
 * H2 What was seen too long ago is not said any more.
 */
import { sleep, type Clock } from '../../lib/clock.ts';
import type { ProbeSource } from '../joining/hardware.ts';
import { healthIntervalMs, healthStaleMs, missingToolRetryMs } from '../limits.ts';
import { readMachineHealth, type MachineHealth } from './machineHealth.ts';

const nothing: MachineHealth = { accelerators: [] };

export class HealthProbe {
  private readonly clock: Clock;
  private readonly source: ProbeSource;
  private seen: { health: MachineHealth; atMs: number } | undefined;

  constructor(options: { clock: Clock; source: ProbeSource }) {
    this.clock = options.clock;
    this.source = options.source;
  }

  /** Looks until the signal aborts, which also ends the tool that is being asked. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this;
    const source = sparing(this.source, { clock, signal });
    while (!signal.aborted) {
      const health = await readMachineHealth(source);
      this.seen = { health, atMs: clock.monotonic() };
      await sleep(clock, healthIntervalMs, signal);
    }
  }

  /** As of the last look; nothing when there was none lately (H2). */
  latest(): MachineHealth {
    const { seen, clock } = this;
    const fresh = seen !== undefined && clock.monotonic() - seen.atMs < healthStaleMs;
    return fresh ? seen.health : nothing;
  }
}

/** H1: a tool that gave nothing is left alone for a while. */
function sparing(
  source: ProbeSource,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): ProbeSource {
  const missingSince = new Map<string, number>();
  return {
    ...source,
    async command(file, args) {
      const since = missingSince.get(file);
      if (since !== undefined && clock.monotonic() - since < missingToolRetryMs) return undefined;
      const out = await source.command(file, args, signal);
      if (out === undefined) missingSince.set(file, clock.monotonic());
      else missingSince.delete(file);
      return out;
    },
  };
}
