/**
 * What budgets have come to in the month that runs: read from the store at the start, and counted
 * on from what ends here. Tells the scheduler whom a hard stop stops, and the control plane who is
 * near the end of a budget.
 *
 * Invariants
 * B4 A cost counts from the end of its request on, and once: while its record is on the way to the
 *    store it is in `onTheWay`, afterwards in what the store says.
 * B5 A request counts for the month in which it began, as it stands in the bill.
 * B6 Nothing is awaited here by a request (R4). What the store says of a month is read anew every
 *    `budgetReadEveryMs`: other servers' share comes in, and whatever was counted wrong goes.
 */
import {
  budgetMarks,
  budgetState,
  hasReached,
  monthOf,
  type BudgetMark,
  type BudgetState,
  type BudgetStop,
} from '../domain/metering/budget.ts';
import type { BudgetEntry } from '../domain/directory.ts';
import { timeCostMicros } from '../domain/metering/price.ts';
import type { UntimedEvent } from '../domain/scheduler/schedulerEvents.ts';
import type { TierPrice } from '../domain/tiers/tiers.ts';
import { sleep, type Clock, type Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { DirectoryEvent } from './directory.ts';
import {
  budgetQuietMs,
  budgetReadAgainMs,
  budgetReadEveryMs,
  budgetReadTries,
  maxCostsOnTheWay,
} from './limits.ts';
import { pacedMs } from './pacedMs.ts';
import type { BudgetLedger, Uptime, UsageRecord, UsageSink } from './ports.ts';

/** A budget and what it has come to. */
export interface BudgetView {
  entry: BudgetEntry;
  spentMicros: number;
  state: BudgetState;
}

interface Tracked {
  entry: BudgetEntry;
  spentMicros: number;
  /** Marks that the control plane knows of, or is being told. */
  told: Set<BudgetMark>;
  stop: BudgetStop | null;
}

type Cost = Pick<UsageRecord, 'projectId' | 'apiKeyId' | 'startedAtMs' | 'costMicros'>;

interface BookOptions {
  ledger: BudgetLedger;
  /** Where records go. */
  sink: UsageSink;
  /** Of an hour of a private agent. */
  hourPrice: TierPrice;
  tell: (event: UntimedEvent) => void;
  clock: Clock;
  log: Logger;
}

export class BudgetBook {
  /** The sink, for whoever delivers records and linked time. */
  readonly sink: UsageSink;
  private readonly options: BookOptions;
  private readonly tracked = new Map<string, Tracked>();
  /** Ids of budgets. */
  private readonly byProject = new Map<string, Set<string>>();
  private readonly onTheWay = new Map<string, Cost>();
  private month: { fromMs: number; toMs: number };
  /** Calls of the sink: that run, and that were ever made. */
  private running = 0;
  private calls = 0;
  private timer: Timer | undefined;
  private readonly stopping = new AbortController();
  private phase: 'new' | 'following' | 'stopped' = 'new';

  constructor(options: BookOptions) {
    this.options = options;
    this.month = monthOf(options.clock.now());
    const { sink } = options;
    this.sink = {
      record: async (batch) => {
        await this.watch(sink.record(batch));
        for (const record of batch) this.taken(record);
      },
      uptime: async (batch) => {
        await this.watch(sink.uptime(batch));
        for (const span of batch) this.count(this.costOf(span));
      },
    };
  }

  /** With the budgets that the directory has told of until now. Never rejects. */
  async start(): Promise<void> {
    this.phase = 'following';
    const isRead = this.tracked.size === 0 || (await this.read(null));
    this.arm(isRead, 0);
  }

  stop(): void {
    this.phase = 'stopped';
    this.stopping.abort();
    this.timer?.cancel();
  }

  onDirectory(event: Extract<DirectoryEvent, { kind: 'budget' }>): void {
    const { id, entry } = event;
    const known = this.tracked.get(id);
    if (entry === null) {
      if (known !== undefined) this.untrack(known);
      return;
    }
    if (known === undefined) {
      this.track(entry);
      // It never rejects.
      if (this.phase === 'following') void this.readSoon(entry.projectId);
      return;
    }
    if (known.entry.amountMicros !== entry.amountMicros) known.told.clear();
    known.entry = entry;
    this.judge(known);
  }

  /** B4. A request has ended. */
  ended(record: UsageRecord): void {
    if (record.costMicros === 0) return;
    const { projectId, apiKeyId, startedAtMs, costMicros } = record;
    const [oldest] = this.onTheWay.keys();
    if (this.onTheWay.size >= maxCostsOnTheWay && oldest !== undefined) {
      this.onTheWay.delete(oldest);
    }
    const cost = { projectId, apiKeyId, startedAtMs, costMicros };
    // First, because it may turn the month, which takes everything on the way in.
    this.count(cost);
    this.onTheWay.set(record.requestId, cost);
  }

  /** Those of a project, its keys' included. */
  ofProject(projectId: string): BudgetView[] {
    const ids = [...(this.byProject.get(projectId) ?? [])];
    return ids.map((id) => this.tracked.get(id)).flatMap((one) => (one ? [viewOf(one)] : []));
  }

  /** Share that was spent of the key's or the project's budget, where one is near its end. */
  nearEnd(projectId: string, apiKeyId: string): number | null {
    if (this.tracked.size === 0) return null;
    const shares = [this.tracked.get(apiKeyId), this.tracked.get(projectId)]
      .filter((one) => one !== undefined)
      .filter((one) => viewOf(one).state !== 'ok')
      .map(({ spentMicros, entry }) => spentMicros / Math.max(1, entry.amountMicros));
    return shares.length === 0 ? null : Math.max(...shares);
  }

  private track(entry: BudgetEntry): void {
    const { id, projectId } = entry;
    this.tracked.set(id, { entry, spentMicros: 0, told: new Set(), stop: null });
    const ofProject = this.byProject.get(projectId) ?? new Set();
    this.byProject.set(projectId, ofProject.add(id));
  }

  private untrack(budget: Tracked): void {
    const { id, projectId } = budget.entry;
    this.setStop(budget, null);
    this.tracked.delete(id);
    const ofProject = this.byProject.get(projectId);
    ofProject?.delete(id);
    if (ofProject?.size === 0) this.byProject.delete(projectId);
  }

  // Counting

  /** The store has a record: one of an earlier process was not counted before (B4). */
  private taken(record: UsageRecord): void {
    this.onTheWay.delete(record.requestId);
    if (record.replayed === true && record.costMicros > 0) this.count(record);
  }

  private costOf({ projectId, fromMs, toMs }: Uptime): Cost {
    const costMicros = timeCostMicros(this.options.hourPrice, (toMs - fromMs) / 1000);
    return { projectId, apiKeyId: '', startedAtMs: fromMs, costMicros };
  }

  private count(cost: Cost): void {
    if (this.tracked.size === 0) return;
    if (cost.startedAtMs >= this.month.toMs) this.turnMonth();
    if (!this.isOfMonth(cost)) return;
    for (const id of [cost.projectId, cost.apiKeyId]) {
      const budget = this.tracked.get(id);
      if (budget === undefined) continue;
      budget.spentMicros += cost.costMicros;
      this.judge(budget);
    }
  }

  /** B5. */
  private isOfMonth({ startedAtMs }: Cost): boolean {
    return startedAtMs >= this.month.fromMs && startedAtMs < this.month.toMs;
  }

  private turnMonth(): void {
    this.month = monthOf(this.options.clock.now());
    const onTheWay = this.sumsOnTheWay();
    for (const budget of this.tracked.values()) {
      budget.spentMicros = onTheWay.get(budget.entry.id) ?? 0;
      budget.told.clear();
      this.judge(budget);
    }
  }

  /** By the id of the project and of the key. */
  private sumsOnTheWay(): Map<string, number> {
    const sums = new Map<string, number>();
    for (const cost of this.onTheWay.values()) {
      if (!this.isOfMonth(cost)) continue;
      for (const id of [cost.projectId, cost.apiKeyId]) {
        sums.set(id, (sums.get(id) ?? 0) + cost.costMicros);
      }
    }
    return sums;
  }

  // Judging

  private judge(budget: Tracked): void {
    const { entry, spentMicros, told } = budget;
    const { amountMicros, apiKeyId } = entry;
    const isStopped = viewOf(budget).state === 'stopped';
    const scope = apiKeyId === null ? 'project' : 'api_key';
    this.setStop(budget, isStopped ? { scope, amountMicros, spentMicros } : null);
    for (const mark of budgetMarks) {
      if (told.has(mark) || !hasReached(mark, { amountMicros, spentMicros })) continue;
      told.add(mark);
      this.tellMark(budget, mark);
    }
  }

  private setStop(budget: Tracked, stop: BudgetStop | null): void {
    const same = budget.stop?.amountMicros === stop?.amountMicros;
    if (same) return;
    budget.stop = stop;
    this.options.tell({ type: 'budget', id: budget.entry.id, stop });
  }

  private tellMark(budget: Tracked, mark: BudgetMark): void {
    const { ledger, log } = this.options;
    const { entry, spentMicros } = budget;
    ledger.reached({ entry, mark, spentMicros, monthMs: this.month.fromMs }).catch((error) => {
      log.warn({ err: error, budget: entry.id, mark }, 'a mark of a budget cannot be told');
      // With the next cost, or the next reading, again.
      budget.told.delete(mark);
    });
  }

  // Reading

  /** Again after a while; soon, where the last reading came to nothing. */
  private arm(isRead: boolean, tookMs: number): void {
    if (this.phase !== 'following') return;
    const { clock } = this.options;
    const everyMs = isRead ? pacedMs(tookMs, budgetReadEveryMs) : budgetReadAgainMs;
    const delayMs = Math.min(everyMs, Math.max(1, this.month.toMs - clock.now()));
    this.timer?.cancel();
    this.timer = clock.setTimer(delayMs, () => {
      if (monthOf(clock.now()).fromMs !== this.month.fromMs) this.turnMonth();
      const beganMs = clock.monotonic();
      // It never rejects.
      void this.read(null).then((read) => this.arm(read, clock.monotonic() - beganMs));
    });
  }

  private async readSoon(projectId: string): Promise<void> {
    if (!(await this.read(projectId))) this.arm(false, 0);
  }

  private async watch(call: Promise<void>): Promise<void> {
    this.running += 1;
    this.calls += 1;
    try {
      await call;
    } finally {
      this.running -= 1;
    }
  }

  /**
   * B4: a sum is right when no record was between here and the store while it was read. Where that
   * is never so, the last one counts, which may be a little too much until the next reading. False:
   * nothing could be read.
   */
  private async read(projectId: string | null): Promise<boolean> {
    const { ledger, clock, log } = this.options;
    const { month } = this;
    try {
      for (let tries = 1; ; tries += 1) {
        const [wasQuiet, calls] = [this.running === 0, this.calls];
        const sums = await ledger.spent({ projectId, ...month });
        if (this.month !== month || this.phase === 'stopped') return false;
        const isRight = wasQuiet && this.calls === calls;
        if (isRight || tries >= budgetReadTries) {
          this.takeSums(sums);
          return true;
        }
        await sleep(clock, budgetQuietMs, this.stopping.signal);
      }
    } catch (error) {
      log.warn({ err: error }, 'what budgets have come to cannot be read');
      return false;
    }
  }

  private takeSums(sums: readonly { id: string; spentMicros: number }[]): void {
    const onTheWay = this.sumsOnTheWay();
    for (const { id, spentMicros } of sums) {
      const budget = this.tracked.get(id);
      if (budget === undefined) continue;
      budget.spentMicros = spentMicros + (onTheWay.get(id) ?? 0);
      this.judge(budget);
    }
  }
}

function viewOf({ entry, spentMicros }: Tracked): BudgetView {
  return { entry, spentMicros, state: budgetState({ ...entry, spentMicros }) };
}
