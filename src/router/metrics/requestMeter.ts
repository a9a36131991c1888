/**
 * What is counted of requests: once at their arrival, at the end of each attempt and at their end.
 * Nothing is counted per chunk.
 *
 * Invariants
 * N1 A request is counted in `xim_requests_total` once, under its one outcome (R1).
 * N2 No label names a project, a key, an endpoint or an agent: what they can be is in this code.
 */
import { Histogram } from '../../lib/metrics/histogram.ts';
import { LabelledCounter, LabelledHistogram } from '../../lib/metrics/series.ts';
import type { ResetCode } from '../../protocol/link.ts';
import { maxOutcomeSeries, maxSeries } from '../limits.ts';
import type { UsageRecord } from '../ports.ts';

/** Seconds. */
const ttftBounds = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 300];
const waitBounds = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30];
const durationBounds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 1800];
const tpotBounds = [0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1];

/** Who served: an agent of the project, a shared one, or nobody. */
type Stage = 'own' | 'shared' | 'none';

export class RequestMeter {
  readonly requests = new LabelledCounter({ maxSeries: maxOutcomeSeries });
  readonly ttft = new LabelledHistogram({ maxSeries, bounds: ttftBounds });
  readonly tpot = new LabelledHistogram({ maxSeries, bounds: tpotBounds });
  readonly duration = new LabelledHistogram({ maxSeries, bounds: durationBounds });
  readonly wait = new LabelledHistogram({ maxSeries, bounds: waitBounds });
  readonly tokens = new LabelledCounter({ maxSeries });
  readonly attempts = new LabelledCounter({ maxSeries });
  readonly attemptFailures = new LabelledCounter({ maxSeries });
  readonly limitRefusals = new LabelledCounter({ maxSeries });
  readonly bodyBytes = new Histogram([1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 16_777_216]);
  answerBytes = 0;
  clampedUsage = 0;

  constructor() {
    // There from the start: what has not happened yet is zero, and its first time is an increase.
    for (const stage of ['own', 'shared']) {
      for (const tries of ['first', 'retry']) this.attempts.add([stage, tries], 0);
    }
  }

  /** A request that the router took in, with its body. */
  arrived(bodyBytes: number): void {
    this.bodyBytes.observe(bodyBytes);
  }

  /** An agent was asked; `attempt` counts from 0. */
  attempted({ shared, attempt }: { shared: boolean; attempt: number }): void {
    this.attempts.add([shared ? 'shared' : 'own', attempt === 0 ? 'first' : 'retry']);
  }

  /** An agent or its link failed, before or after the first byte. */
  attemptFailed(code: ResetCode, when: 'before_first_byte' | 'after_first_byte'): void {
    this.attemptFailures.add([code, when]);
  }

  attemptClosed({ answerBytes }: { answerBytes: number }): void {
    this.answerBytes += answerBytes;
  }

  /** Refused by a limit of a project on a tier; null: by the quota of a key. */
  limited(limit: string, tier: string | null): void {
    this.limitRefusals.add([limit, tier ?? 'key']);
  }

  /** N1. */
  ended(record: UsageRecord): void {
    const { outcome, tier, stream } = record;
    const stage = stageOf(record);
    const streamed = stream ? 'true' : 'false';
    this.requests.add([outcome, tier, stage, streamed]);
    this.wait.observe([stage], record.queueMs / 1000);
    if (stage === 'none') return;
    if (record.usageClamped) this.clampedUsage += 1;
    this.countTokens(record, stage);
    if (outcome !== 'completed') return;
    this.duration.observe([tier, stage, streamed], record.latencyMs / 1000);
    if (stream) this.timeStream(record, [tier, stage]);
  }

  private timeStream(record: UsageRecord, labels: readonly string[]): void {
    const { ttftMs, latencyMs, outputTokens } = record;
    if (ttftMs === null) return;
    this.ttft.observe(labels, ttftMs / 1000);
    if (outputTokens === null || outputTokens < 2) return;
    this.tpot.observe(labels, (latencyMs - ttftMs) / 1000 / (outputTokens - 1));
  }

  private countTokens(record: UsageRecord, stage: Stage): void {
    const { tier, inputTokens, cachedTokens, outputTokens } = record;
    if (inputTokens === null) return;
    const cached = cachedTokens ?? 0;
    this.tokens.add(['input', tier, stage], inputTokens - cached);
    this.tokens.add(['cached_input', tier, stage], cached);
    this.tokens.add(['output', tier, stage], outputTokens ?? 0);
  }
}

function stageOf({ agentId, shared }: UsageRecord): Stage {
  if (agentId === null) return 'none';
  return shared ? 'shared' : 'own';
}
