/**
 * In which order a worker does what it was sent. What nobody waits for comes last, so that a slow
 * disk is felt by no more than one such call before a sign-in or an enrolment.
 *
 * O1 Calls of one kind are done in the order in which they came.
 * O2 Upkeep gets its turn after `urgentInRow` others at the latest: it may lag and never starves.
 * O3 Opening comes first, closing when nothing is left.
 */
import { urgentInRow } from '../limits.ts';
import { methods } from '../methods.ts';
import type { Access } from '../methods/method.ts';
import type { ToWorker } from './workerMessages.ts';

export class CallOrder {
  private readonly urgent: ToWorker[] = [];
  private readonly upkeep: ToWorker[] = [];
  private closing: ToWorker | undefined;
  private inRow = 0;

  push(message: ToWorker): void {
    if (message.kind === 'close') this.closing = message;
    else if (isUpkeep(message)) this.upkeep.push(message);
    else this.urgent.push(message);
  }

  /** Undefined: nothing is left to do. */
  next(): ToWorker | undefined {
    const upkeepIsDue = this.upkeep.length > 0 && this.inRow >= urgentInRow;
    const urgent = upkeepIsDue ? undefined : this.urgent.shift();
    if (urgent !== undefined) {
      this.inRow += 1;
      return urgent;
    }
    this.inRow = 0;
    const next = this.upkeep.shift() ?? this.closing;
    if (next === this.closing) this.closing = undefined;
    return next;
  }
}

function isUpkeep(message: ToWorker): boolean {
  if (message.kind !== 'call') return false;
  const access: Access = methods[message.call.name].access;
  return access === 'upkeep';
}
