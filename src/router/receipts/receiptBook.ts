/**
 * Receipts: takes requests that are over, writes them down when nothing else is to do, and finds
 * them again. A request that is over costs a place in a list; what a receipt says is made up of
 * references then.
 *
 * Invariants
 * T1 Nothing of a receipt is made before its request is over.
 * T4 Nobody waits for a receipt, and none fails for one.
 */
import type { AgentEntry } from '../../domain/directory.ts';
import type { Fleet } from '../../domain/scheduler/verdict.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { maxPendingReceipts, receiptDelayMs } from '../limits.ts';
import { KnownOutsiders } from './knownOutsiders.ts';
import type { Receipt } from './receipt.ts';
import type { EndedRequest, Surroundings } from './receiptCodec.ts';
import type { ReceiptFiles } from './receiptFiles.ts';
import { receiptNow } from './receiptSegment.ts';
import { ReceiptShelf, type ShelfState } from './receiptShelf.ts';

export class ReceiptBook {
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly shelf: ReceiptShelf;
  private readonly around: Surroundings;
  /** Requests that are over. */
  private readonly pending: EndedRequest[] = [];
  private turn: Timer | undefined;

  constructor(options: {
    files: ReceiptFiles;
    clock: Clock;
    log: Logger;
    fleet: Fleet;
    agent: (agentId: string) => AgentEntry | undefined;
  }) {
    const { clock, log, files, fleet, agent } = options;
    this.clock = clock;
    this.log = log;
    this.shelf = new ReceiptShelf({ files, clock, log });
    const outsiders = new KnownOutsiders({ fleet, clock });
    this.around = {
      agent,
      outsiders: ({ routed }) => (routed === undefined ? null : outsiders.of(routed)),
    };
  }

  /** Finds what an earlier process has left. Nothing waits for it; never rejects. */
  start(): Promise<void> {
    return this.shelf.start();
  }

  /** Writes what there is. */
  async stop(): Promise<void> {
    this.write();
    await this.shelf.stop();
  }

  /**
   * A request is over, and its client has its last byte. What waits is written in an idle turn, or
   * a few at once: references that live for longer cost more than what is written of them (with a
   * thousand of them in a list, measured, 30 µs of collecting garbage for each).
   */
  over(ended: EndedRequest): void {
    this.pending.push(ended);
    if (this.pending.length >= maxPendingReceipts) this.write();
    else this.turn ??= this.clock.setTimer(receiptDelayMs, () => this.write());
  }

  /** Undefined: it is not kept, or not any more. */
  find(requestId: string): Promise<Receipt | undefined> {
    this.write();
    return this.shelf.find(requestId);
  }

  /** Of one that is in the house. */
  now(soFar: EndedRequest): Receipt {
    return receiptNow(soFar, this.around);
  }

  /** All that are kept, oldest first, in pieces. */
  all(): AsyncGenerator<Receipt[]> {
    this.write();
    return this.shelf.all();
  }

  state(): ShelfState {
    return this.shelf.state();
  }

  private write(): void {
    this.turn?.cancel();
    this.turn = undefined;
    for (const ended of this.pending.splice(0)) this.writeOne(ended);
  }

  /** What cannot be written down is a bug, and nobody's request fails for it (T4). */
  private writeOne(ended: EndedRequest): void {
    try {
      this.shelf.add(ended, this.around);
    } catch (error) {
      const { requestId } = ended.record;
      this.log.error({ err: error, requestId }, 'a receipt cannot be written');
    }
  }
}
