/**
 * The server of the simulation: the real router over durable state in memory that takes virtual
 * time for everything, may be away, late or full, and survives the router's processes.
 */
import type { Clock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { randomInt, seededRandom, type Random } from '../../lib/random.ts';
import type { JournalFile, JournalFiles } from '../../router/journal/journalFiles.ts';
import type { RouterPorts } from '../../router/ports.ts';
import { createRouter, type Router, type RouterConfig } from '../../router/router.ts';
import { MemoryReceipts } from '../router/memoryReceipts.ts';
import { MemoryJournal } from '../router/memoryJournal.ts';
import type { MemoryPorts } from '../router/routerHarness.ts';
import { ProcessClock } from './processClock.ts';

/** What stands between the router and its durable state: time, and faults. */
export class SimulatedServer {
  readonly ports: MemoryPorts;
  readonly files = new MemoryJournal();
  readonly receipts = new MemoryReceipts();
  /** Segments look so large that the journal is full; told at a start. */
  swollen = false;
  /** Writes of the journal hang. */
  diskHangs = false;
  /** Changes of the directory wait for the poll. */
  late = false;
  /** Since then each read of the directory has gone well; monotonic ms. */
  readableSinceMs = 0;
  /** When the router heard of an agent last, by its id; monotonic ms. */
  readonly heardAtMs = new Map<string, number>();
  /** How often the store was given a record, by request. */
  readonly recorded = new Map<string, number>();
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly config: Partial<RouterConfig>;
  private current: { router: Router; clock: ProcessClock; phase: 'starting' | 'up' } | undefined;
  private starts = 0;

  constructor(options: {
    clock: Clock;
    random: Random;
    ports: MemoryPorts;
    config: Partial<RouterConfig>;
  }) {
    this.clock = options.clock;
    this.random = options.random;
    this.ports = options.ports;
    this.config = options.config;
  }

  /** The router that serves; undefined while there is none. */
  get router(): Router | undefined {
    return this.current?.phase === 'up' ? this.current.router : undefined;
  }

  async start(): Promise<void> {
    this.starts += 1;
    const clock = new ProcessClock(this.clock);
    const router = createRouter({
      ports: this.slowPorts(clock),
      clock,
      random: seededRandom(randomInt(this.random, 2 ** 31)),
      log: silentLogger,
      config: { routerId: `router-${this.starts}`, dataDir: '/nowhere', ...this.config },
      journalFiles: this.slowFiles(clock),
      receiptFiles: this.receipts,
    });
    router.directory.onChange(({ kind, id }) => {
      if (kind === 'agent') this.heardAtMs.set(id, clock.monotonic());
    });
    const started = { router, clock, phase: 'starting' as const };
    this.current = started;
    await router.start();
    this.readableSinceMs = clock.monotonic();
    if (this.current === started) this.current = { ...started, phase: 'up' };
  }

  /** The process is killed. Its links are its caller's to cut. */
  crash(): void {
    this.current?.clock.kill();
    this.current = undefined;
  }

  /** It stops as an operator would have it, and is gone then. */
  async stop(drainMs: number): Promise<void> {
    const { current } = this;
    if (current === undefined) return;
    await current.router.drain(drainMs);
    await current.router.stop();
    if (this.current === current) this.current = undefined;
    current.clock.kill();
  }

  // Durable state that takes its time

  private slowPorts(clock: ProcessClock): RouterPorts {
    const { ports } = this;
    const { directory } = ports;
    const slowly = <Result>(work: () => Promise<Result>): Promise<Result> =>
      this.after(clock, 1 + randomInt(this.random, 20), work);
    return {
      directory: {
        snapshot: () => slowly(() => directory.snapshot()),
        tokenKeys: () => slowly(() => directory.tokenKeys()),
        changesSince: async (revision, limit) => {
          try {
            return await slowly(() => directory.changesSince(revision, limit));
          } catch (error) {
            this.readableSinceMs = clock.monotonic();
            throw error;
          }
        },
        onHint: (hint) => directory.onHint(() => void (this.late || clock.isDead || hint())),
      },
      usage: {
        record: (batch) =>
          slowly(async () => {
            await ports.usage.record(batch);
            for (const { requestId } of batch) {
              this.recorded.set(requestId, 1 + (this.recorded.get(requestId) ?? 0));
            }
          }),
        uptime: (batch) => slowly(() => ports.usage.uptime(batch)),
      },
      budgets: {
        spent: (asked) => slowly(() => ports.budgets.spent(asked)),
        keyTokens: (day) => slowly(() => ports.budgets.keyTokens(day)),
        reached: (budget) => slowly(() => ports.budgets.reached(budget)),
      },
      presence: {
        seen: (batch) => slowly(() => ports.presence.seen(batch)),
        event: (event) => slowly(() => ports.presence.event(event)),
      },
      health: { record: (batch) => slowly(() => ports.health.record(batch)) },
    };
  }

  private slowFiles(clock: ProcessClock): JournalFiles {
    const { files } = this;
    const slowly = <Result>(work: () => Promise<Result>): Promise<Result> =>
      this.after(clock, 1 + randomInt(this.random, 4), work);
    const slow = (file: JournalFile): JournalFile => ({
      append: (bytes) => slowly(() => file.append(bytes)),
      sync: () => slowly(() => file.sync()),
      close: () => file.close(),
    });
    return {
      prepare: () => files.prepare(),
      list: async () => {
        const all = await files.list();
        return this.swollen ? all.map((one) => ({ ...one, bytes: 2 ** 31 })) : all;
      },
      read: (name) => files.read(name),
      create: (name) => slowly(async () => slow(await files.create(name))),
      remove: (name) => slowly(() => files.remove(name)),
      rename: (name, to) => slowly(() => files.rename(name, to)),
      extend: (name, bytes) => slowly(() => files.extend(name, bytes)),
      replace: (name, bytes) => slowly(() => files.replace(name, bytes)),
    };
  }

  /** A process that dies meanwhile has not done it, and never hears of it. */
  private after<Result>(
    clock: ProcessClock,
    ms: number,
    work: () => Promise<Result>,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      clock.setTimer(ms, () => void work().then(resolve, reject));
    });
  }
}
