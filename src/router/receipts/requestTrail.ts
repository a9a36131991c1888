/**
 * What happened to one request, noted while it is in the house: references to what the scheduler
 * decided, and times. Nothing is put into words here (T1).
 */
import type { RoutedRequest } from '../../domain/agents/matching.ts';
import type { Dispatch, Verdict } from '../../domain/scheduler/schedulerEvents.ts';
import { maxReceiptAttempts } from '../limits.ts';
import type { InferenceRequest, UsageRecord } from '../ports.ts';
import type { ReceiptWait } from './receipt.ts';
import type { EndedRequest } from './receiptCodec.ts';

/** Times are monotonic ms. */
export interface TrailAttempt {
  dispatch: Dispatch;
  atMs: number;
  firstByteAtMs: number | null;
  endedAtMs: number | null;
  /** How it ended: `served`, or why it did not; empty while it runs. */
  end: string;
}

export class RequestTrail {
  /** In the order in which the request came to depend on them: who lost a race stands before. */
  readonly attempts: TrailAttempt[] = [];
  /** As the scheduler was told of it. */
  routed: RoutedRequest | undefined;
  /** What was foreseen when it began to wait; null: it did not. */
  wait: ReceiptWait | null = null;
  /** Why it was refused. */
  verdict: Verdict | null = null;
  resumed = 0;

  dispatched(dispatch: Dispatch, nowMs: number): void {
    if (this.attempts.length === maxReceiptAttempts) this.attempts.splice(1, 1);
    const began = { firstByteAtMs: null, endedAtMs: null, end: '' };
    this.attempts.push({ dispatch, atMs: nowMs, ...began });
  }

  /** Another agent is asked beside the one that is late; the request does not depend on it yet. */
  hedged(dispatch: Dispatch, nowMs: number): void {
    this.dispatched(dispatch, nowMs);
    this.swapLast();
  }

  /** One of two that run beside each other is over, and the request goes on with the other. */
  beaten(claim: number, end: string, nowMs: number): void {
    if (this.attempts.at(-1)?.dispatch.claim === claim) this.swapLast();
    const lost = this.attempts.at(-2);
    if (lost !== undefined) close(lost, end, nowMs);
  }

  private swapLast(): void {
    const [last, before] = [this.attempts.pop(), this.attempts.pop()];
    for (const one of [last, before]) if (one !== undefined) this.attempts.push(one);
  }

  /** Of the attempt that runs. */
  firstByte(nowMs: number): void {
    const last = this.attempts.at(-1);
    if (last !== undefined) last.firstByteAtMs ??= nowMs;
  }

  /** The attempt that runs is over; of one that is over already nothing changes. */
  ended(end: string, nowMs: number): void {
    const last = this.attempts.at(-1);
    if (last !== undefined) close(last, end, nowMs);
  }

  /** The request has its outcome. `arrivedAtMs`: monotonic. */
  over({ outcome, latencyMs }: UsageRecord, arrivedAtMs: number): void {
    const end = outcome === 'completed' ? 'served' : outcome;
    for (const attempt of this.attempts) close(attempt, end, arrivedAtMs + latencyMs);
  }

  /** With all that its receipt says; `record` is what there is of it. */
  endedWith(
    record: UsageRecord,
    { request, bodyBytes }: { request: Omit<InferenceRequest, 'body'>; bodyBytes: number },
  ): EndedRequest {
    const { maxTokens, region, arrivedAtMs } = request;
    return { record, trail: this, arrivedAtMs, bodyBytes, maxTokens, region };
  }
}

function close(attempt: TrailAttempt, end: string, nowMs: number): void {
  if (attempt.end !== '') return;
  attempt.end = end;
  attempt.endedAtMs = nowMs;
}
