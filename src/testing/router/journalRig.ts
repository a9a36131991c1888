/** A journal over a folder in memory and a store that a test takes away. */
import { silentLogger, type LogFields, type Logger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { Journal } from '../../router/journal/journal.ts';
import type { UsageRecord } from '../../router/ports.ts';
import { FakeClock } from '../fakeClock.ts';
import { MemoryJournal } from './memoryJournal.ts';
import { MemoryPorts, settle } from './routerHarness.ts';

/** A record of a request that went well. */
export const record = (requestId: string, over: Partial<UsageRecord> = {}): UsageRecord => ({
  requestId,
  projectId: 'proj_a',
  endpointId: 'ep_a',
  endpointSlug: 'main',
  apiKeyId: 'key_a',
  modelId: 'model_a',
  agentId: 'agent-1',
  tier: 'free',
  startedAtMs: 1,
  inputTokens: 1,
  cachedTokens: 0,
  outputTokens: 2,
  ttftMs: 1,
  latencyMs: 2,
  queueMs: 0,
  status: 200,
  outcome: 'completed',
  stream: true,
  usageClamped: false,
  shared: false,
  costMicros: 0,
  ...over,
});

/** A log that remembers what was said, beside `debug`. */
export function hearing(): { log: Logger; lines: { fields: LogFields; message: string }[] } {
  const lines: { fields: LogFields; message: string }[] = [];
  const hear = (fields: LogFields, message: string): void => void lines.push({ fields, message });
  return { log: { ...silentLogger, info: hear, warn: hear, error: hear }, lines };
}

export class JournalRig {
  readonly files: MemoryJournal;
  readonly ports: MemoryPorts;
  readonly clock = new FakeClock();
  readonly journal: Journal;
  sent = 0;

  constructor(log = silentLogger, files = new MemoryJournal(), ports = new MemoryPorts()) {
    this.files = files;
    this.ports = ports;
    const { clock } = this;
    const random = seededRandom(1);
    this.journal = new Journal({ files, sink: this.ports.usage, clock, random, log });
  }

  static async start(
    log?: Logger,
    files?: MemoryJournal,
    ports?: MemoryPorts,
  ): Promise<JournalRig> {
    const rig = new JournalRig(log, files, ports);
    await rig.journal.start();
    return rig;
  }

  /** Begins and ends so many requests. */
  async serve(count: number, over: Partial<UsageRecord> = {}): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      const requestId = `r${this.sent}`;
      this.sent += 1;
      this.journal.begin(record(requestId, { outcome: 'interrupted' }));
      this.journal.end(record(requestId, over));
      if (n % 200 === 0) await settle(2);
    }
    await settle();
  }

  /** Serves so many whose records the store refuses, each for itself. */
  async refuse(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) this.ports.unfit.add(`r${this.sent + n}`);
    for (let left = count; left > 0; left -= 500) {
      await this.serve(Math.min(500, left));
      await this.live(300);
    }
  }

  /** The process is killed: another one finds what is on disk, and the same store. */
  restart(log?: Logger): Promise<JournalRig> {
    const files = new MemoryJournal();
    for (const [name, bytes] of this.files.segments) files.segments.set(name, bytes);
    return JournalRig.start(log, files, this.ports);
  }

  /** As `pass`, in small steps: what takes several turns is not overtaken by the clock. */
  async live(ms: number): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= 1000) {
      await this.clock.advanceAsync(Math.min(1000, leftMs));
      await settle(20);
    }
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advanceAsync(ms);
    await settle(500);
  }

  get recorded(): number {
    return new Set(this.ports.usageRecords.map((one) => one.requestId)).size;
  }
}
