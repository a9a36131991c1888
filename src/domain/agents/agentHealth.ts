/**
 * An agent's health in numbers: what HEARTBEAT says, and what is kept of a span of them.
 */

/** How many heartbeats become one number. */
type Summary =
  /** The mean. */
  | 'mean'
  /** The worst one: a peak that a mean would hide. */
  | 'max'
  | 'min'
  | 'last';

/** The measures, and what is kept of each. */
export const healthMeasures = {
  /** Requests that hold one of its slots. */
  inFlight: 'mean',
  slots: 'last',
  /** Requests that wait in the agent and its engines. */
  waiting: 'max',
  /** Tokens of answers, and of prompts that were read. */
  tokensPerSecond: 'mean',
  promptTokensPerSecond: 'mean',
  /** Shares from 0 to 1: of the fullest engine, and of the accelerators' time. */
  kvCacheUse: 'max',
  acceleratorUse: 'mean',
  /** Over all accelerators. */
  acceleratorMemoryUsedBytes: 'max',
  acceleratorMemoryTotalBytes: 'last',
  /** Of the warmest part: accelerators and processor. */
  temperatureC: 'max',
  diskFreeBytes: 'min',
  diskTotalBytes: 'last',
  memoryAvailableBytes: 'min',
  memoryTotalBytes: 'last',
} as const satisfies Record<string, Summary>;

export type HealthMeasure = keyof typeof healthMeasures;

/** Null: the agent does not say. */
export type HealthNumbers = Record<HealthMeasure, number | null>;

/** What is kept of a span; the time is its end, epoch ms. */
export interface HealthSample extends HealthNumbers {
  agentId: string;
  atMs: number;
}

export const healthMeasureNames = Object.keys(healthMeasures) as HealthMeasure[];

/** Sums a span up. Small (400 bytes): there is one for each agent that has a link. */
export class HealthSum {
  /** For each measure how many there were, and their sum or their worst. */
  private readonly counts = healthMeasureNames.map(() => 0);
  private readonly values = healthMeasureNames.map(() => 0);
  private taken = 0;

  /** Heartbeats since the last sample. */
  get size(): number {
    return this.taken;
  }

  add(numbers: HealthNumbers): void {
    this.taken += 1;
    for (const [at, name] of healthMeasureNames.entries()) {
      const value = numbers[name];
      if (value === null) continue;
      const count = this.counts[at] ?? 0;
      const before = this.values[at] ?? 0;
      this.values[at] = count === 0 ? value : joined(healthMeasures[name], { before, value });
      this.counts[at] = count + 1;
    }
  }

  /** The span's numbers; begins a new one. */
  take(): HealthNumbers {
    const entries = healthMeasureNames.map((name, at) => {
      const [count = 0, value = 0] = [this.counts[at], this.values[at]];
      if (count === 0) return [name, null];
      return [name, healthMeasures[name] === 'mean' ? value / count : value];
    });
    this.counts.fill(0);
    this.values.fill(0);
    this.taken = 0;
    return Object.fromEntries(entries) as HealthNumbers;
  }
}

/** Means are sums until they are taken. */
function joined(how: Summary, { before, value }: { before: number; value: number }): number {
  switch (how) {
    case 'mean':
      return before + value;
    case 'max':
      return Math.max(before, value);
    case 'min':
      return Math.min(before, value);
    case 'last':
      return value;
  }
}
