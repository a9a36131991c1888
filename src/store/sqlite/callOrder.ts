/**
 * In which order a worker does what it was sent. What has time comes later, and what nobody waits
 * for last, so that a slow disk is felt by no more than one such call before a sign-in or an
 * enrolment.
 *
 * O1 Calls of one rank are done in the order in which they came.
 * O2 A rank gets its turn after `passesInRow` calls that went before it at the latest: it may lag
 *    and never starves.
 * O3 Opening comes first, closing when nothing is left.
 */
import { passesInRow } from '../limits.ts';
import { methods } from '../methods.ts';
import type { Access } from '../methods/method.ts';
import type { ToWorker } from './workerMessages.ts';

interface Rank {
  waiting: ToWorker[];
  /** Calls of earlier ranks that were done while some waited here. */
  passes: number;
}

const ranks: Readonly<Record<Access, number>> = {
  read: 0,
  write: 0,
  change: 0,
  patient: 1,
  upkeep: 2,
};

export class CallOrder {
  private readonly ranks: readonly Rank[] = Array.from({ length: 3 }, () => ({
    waiting: [],
    passes: 0,
  }));
  private closing: ToWorker | undefined;

  push(message: ToWorker): void {
    if (message.kind === 'close') this.closing = message;
    else this.ranks[rankOf(message)]?.waiting.push(message);
  }

  /** Undefined: nothing is left to do. */
  next(): ToWorker | undefined {
    const busy = this.ranks.filter(({ waiting }) => waiting.length > 0);
    const due = busy.findLast(({ passes }) => passes >= passesInRow);
    const rank = due ?? busy[0];
    if (rank === undefined) {
      const { closing } = this;
      this.closing = undefined;
      return closing;
    }
    for (const later of busy.slice(busy.indexOf(rank) + 1)) later.passes += 1;
    rank.passes = 0;
    return rank.waiting.shift();
  }
}

function rankOf(message: ToWorker): number {
  return message.kind === 'call' ? ranks[methods[message.call.name].access] : 0;
}
