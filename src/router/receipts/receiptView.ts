/** Receipts and places in line as others ask for them: of what is over, waits or runs. */
import type { Scheduler } from '../../domain/scheduler/scheduler.ts';
import type { Expectation } from '../../domain/waiting/queueOutlook.ts';
import { explain } from '../../domain/scheduler/verdict.ts';
import type { Clock } from '../../lib/clock.ts';
import { maxActiveListed } from '../limits.ts';
import type { RequestRun } from '../requests/requestRun.ts';
import type { Receipt } from './receipt.ts';
import type { ReceiptBook } from './receiptBook.ts';
import { ReceiptExport } from './receiptExport.ts';

/** `finished` receipts are kept for a while; of the others it is what is known now. */
export interface ReceiptState {
  state: 'waiting' | 'running' | 'finished';
  receipt: Receipt;
  /** Of one that waits. */
  expectation: Expectation | null;
}

/** One that is in the house. */
export interface ActiveRequest {
  requestId: string;
  endpointSlug: string;
  apiKeyId: string;
  stream: boolean;
  /** Since its arrival. */
  ageMs: number;
  /** Null: it runs. */
  expectation: Expectation | null;
  /** The agent that it runs on. */
  agentId: string | null;
}

interface Parts {
  runs: {
    run(requestId: string): RequestRun | undefined;
    all(): Iterable<RequestRun>;
    readonly driver: { readonly scheduler: Scheduler };
  };
  book: ReceiptBook;
  clock: Clock;
}

export class ReceiptView {
  private readonly parts: Parts;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  /** Undefined: it is not known, or not any more. */
  async of(requestId: string): Promise<ReceiptState | undefined> {
    const { runs, book } = this.parts;
    const run = runs.run(requestId);
    // One whose end is being written down runs still.
    if (run !== undefined) {
      const expectation = this.expectation(requestId);
      if (expectation === null) {
        return { state: 'running', receipt: book.now(run.soFar()), expectation };
      }
      const { fleet, queue } = runs.driver.scheduler;
      const waiting = queue.get(requestId);
      const explained = waiting && { explanation: explain(fleet, waiting) };
      const receipt = book.now({ ...run.soFar(), ...explained });
      return { state: 'waiting', receipt, expectation };
    }
    const receipt = await book.find(requestId);
    return receipt && { state: 'finished', receipt, expectation: null };
  }

  /** Those of a project that wait or run, oldest first. */
  active(projectId: string): { requests: ActiveRequest[]; more: boolean } {
    const requests: ActiveRequest[] = [];
    const nowMs = this.parts.clock.monotonic();
    for (const run of this.parts.runs.all()) {
      const { request, trail } = run;
      if (request.project.id !== projectId || run.isOver) continue;
      if (requests.length === maxActiveListed) return { requests, more: true };
      const expectation = this.expectation(request.requestId);
      const last = trail.attempts.at(-1);
      requests.push({
        requestId: request.requestId,
        endpointSlug: request.endpoint.slug,
        apiKeyId: request.apiKey.id,
        stream: request.stream,
        ageMs: nowMs - request.arrivedAtMs,
        expectation,
        agentId: expectation === null ? (last?.dispatch.agentId ?? null) : null,
      });
    }
    return { requests, more: false };
  }

  /** A trace for the simulator: lines of JSON in pieces, oldest first. Times are epoch ms. */
  async *exported(span: { fromMs: number; toMs: number }): AsyncGenerator<string> {
    const trace = new ReceiptExport();
    for await (const receipts of this.parts.book.all()) {
      const within = receipts.filter(
        ({ startedAtMs }) => startedAtMs >= span.fromMs && startedAtMs < span.toMs,
      );
      const lines = within.flatMap((receipt) => trace.line(receipt) ?? []);
      if (lines.length > 0) yield lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    }
  }

  /** Null: it does not wait. */
  expectation(requestId: string): Expectation | null {
    const { runs, clock } = this.parts;
    const { scheduler } = runs.driver;
    const waiting = scheduler.queue.get(requestId);
    if (waiting === undefined) return null;
    return scheduler.fleet.outlook.of(waiting, clock.monotonic());
  }
}
