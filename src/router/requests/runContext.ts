/** What a request's run is made with, and the forms that it goes through. */
import type { AgentEntry } from '../../domain/directory.ts';
import type { Moving } from '../../domain/failures/failureBook.ts';
import type { Dispatch, UntimedEvent } from '../../domain/scheduler/schedulerEvents.ts';
import type { TierTable } from '../../domain/tiers/tiers.ts';
import type { Clock } from '../../lib/clock.ts';
import type { EndMessage } from '../../protocol/messages/end.ts';
import type { BudgetBook } from '../budgetBook.ts';
import type { Journal } from '../journal/journal.ts';
import type { AgentLink } from '../links/agentLink.ts';
import type { RequestMeter } from '../metrics/requestMeter.ts';
import type { InferenceRequest, Outcome, Refusal, UsageRecord } from '../ports.ts';
import type { ReceiptBook } from '../receipts/receiptBook.ts';
import type { ChunkTokens } from '../resuming/chunkTokens.ts';
import type { KeptInAll } from '../resuming/resumable.ts';
import type { Attempt, CoarseTime, FailureLimits } from './attempt.ts';
import type { RequestRun } from './requestRun.ts';

/** What a run needs of the router. */
export interface RunContext {
  clock: Clock;
  time: CoarseTime;
  tiers: TierTable;
  journal: Journal;
  budgets: Pick<BudgetBook, 'ended' | 'nearEnd'>;
  limits: FailureLimits;
  /** Late streams get a second agent. */
  hedging: boolean;
  tell(event: UntimedEvent): void;
  /** Whether somebody else could go on with what a claim serves. */
  couldMove(claim: number, moving: Moving): boolean;
  /** What resumable streams keep. */
  kept: KeptInAll;
  chunkTokens: ChunkTokens;
  linkFor(dispatch: Dispatch): AgentLink | undefined;
  agent(agentId: string): AgentEntry | undefined;
  cacheSalt(projectId: string): string;
  acknowledge(link: AgentLink, requestId: string): void;
  onAttempt(attempt: Attempt, request: Omit<InferenceRequest, 'body'>): void;
  onAttemptClosed(attempt: Attempt): void;
  onOver(run: RequestRun, record: UsageRecord): void;
  meter: Pick<RequestMeter, 'attemptFailed' | 'limited'>;
  receipts: Pick<ReceiptBook, 'over'>;
}

/** How a request ends, before it has. */
export interface Ending {
  outcome: Outcome;
  status: number;
  /** For a client that has no byte yet. */
  refusal: Refusal | null;
  /** Of a refusal by a limit. */
  rateHeaders?: Record<string, string>;
  /** The agent's trailers, where it sent them. */
  end: EndMessage | undefined;
  /** Writes what the client still gets, once the journal has the record. */
  finish: (end: EndMessage | undefined) => void;
}

export type RunPhase =
  | { is: 'waiting'; sinceMs: number }
  | { is: 'running'; attempt: Attempt }
  | { is: 'settling'; attempt: Attempt; sinceMs: number; ending: Ending }
  | { is: 'concluding' }
  | { is: 'over' };

/** What the scheduler is told of an attempt that failed. */
export type Failed = Extract<UntimedEvent, { type: 'failed' }>;
