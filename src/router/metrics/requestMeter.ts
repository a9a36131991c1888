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
import type { Outcome, UsageRecord } from '../ports.ts';

/** Seconds. */
const ttftBounds = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 300];
const waitBounds = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30];
const durationBounds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 1800];
const tpotBounds = [0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1];

/** Who served: an agent of the project, a shared one, or nobody. */
const stages = ['own', 'shared', 'none'] as const;
type Stage = (typeof stages)[number];

export class RequestMeter {
  readonly requests = new LabelledCounter({ maxSeries: maxOutcomeSeries });
  readonly ttft = new LabelledHistogram({ maxSeries, bounds: ttftBounds });
  readonly tpot = new LabelledHistogram({ maxSeries, bounds: tpotBounds });
  readonly duration = new LabelledHistogram({ maxSeries, bounds: durationBounds });
  readonly wait = new LabelledHistogram({ maxSeries, bounds: waitBounds });
  readonly tokens = new LabelledCounter({ maxSeries });
  readonly attempts = new LabelledCounter({ maxSeries });
  readonly attemptFailures = new LabelledCounter({ maxSeries });
  readonly resumed = new LabelledCounter({ maxSeries });
  readonly limitRefusals = new LabelledCounter({ maxSeries });
  readonly bodyBytes = new Histogram([1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 16_777_216]);
  private readonly kinds = new Map<string, Kind[]>();
  private readonly tried: readonly { value: number }[];
  answerBytes = 0;
  clampedUsage = 0;

  constructor() {
    // There from the start: what has not happened yet is zero, and its first time is an increase.
    this.tried = ['own', 'shared'].flatMap((stage) =>
      ['first', 'retry', 'hedge'].map((tries) => this.attempts.of([stage, tries])),
    );
  }

  /** A request that the router took in, with its body. */
  arrived(bodyBytes: number): void {
    this.bodyBytes.observe(bodyBytes);
  }

  /** An agent was asked; `attempt` counts from 0. */
  attempted(dispatch: { shared: boolean; attempt: number; hedge: boolean }): void {
    const tries = dispatch.hedge ? 2 : dispatch.attempt === 0 ? 0 : 1;
    const series = this.tried[(dispatch.shared ? 3 : 0) + tries];
    if (series !== undefined) series.value += 1;
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
  ended(record: UsageRecord, { resumed }: { resumed: number }): void {
    const stage = stageOf(record);
    if (resumed > 0) this.resumed.add([record.outcome]);
    const kind = this.kindOf(record, stage);
    const { outcome } = record;
    const ended = kind.outcomes.get(outcome) ?? this.beginOutcome(kind, record, stage);
    ended.value += 1;
    kind.wait.observe(record.queueMs / 1000);
    if (stage === 'none') return;
    if (record.usageClamped) this.clampedUsage += 1;
    countTokens(kind, record);
    if (outcome !== 'completed') return;
    kind.duration ??= this.duration.of([record.tier, stage, String(record.stream)]);
    kind.duration.observe(record.latencyMs / 1000);
    if (record.stream) this.timeStream(kind, record, stage);
  }

  private timeStream(kind: Kind, record: UsageRecord, stage: Stage): void {
    const { tier, ttftMs, latencyMs, outputTokens } = record;
    if (ttftMs === null) return;
    kind.ttft ??= this.ttft.of([tier, stage]);
    kind.ttft.observe(ttftMs / 1000);
    if (outputTokens === null || outputTokens < 2) return;
    kind.tpot ??= this.tpot.of([tier, stage]);
    kind.tpot.observe((latencyMs - ttftMs) / 1000 / (outputTokens - 1));
  }

  /** The series of a kind are looked up once: names of labels cost more than counting. */
  private kindOf({ tier, stream }: UsageRecord, stage: Stage): Kind {
    let ofTier = this.kinds.get(tier);
    if (ofTier === undefined) {
      ofTier = [];
      if (this.kinds.size < maxSeries) this.kinds.set(tier, ofTier);
    }
    const at = stages.indexOf(stage) * 2 + (stream ? 1 : 0);
    return (ofTier[at] ??= this.beginKind(tier, stage));
  }

  private beginKind(tier: string, stage: Stage): Kind {
    const tokens = (kind: string): { value: number } =>
      stage === 'none' ? { value: 0 } : this.tokens.of([kind, tier, stage]);
    return {
      outcomes: new Map(),
      wait: this.wait.of([stage]),
      duration: undefined,
      ttft: undefined,
      tpot: undefined,
      input: tokens('input'),
      cachedInput: tokens('cached_input'),
      output: tokens('output'),
    };
  }

  private beginOutcome(kind: Kind, record: UsageRecord, stage: Stage): { value: number } {
    const { outcome, tier, stream } = record;
    const series = this.requests.of([outcome, tier, stage, String(stream)]);
    kind.outcomes.set(outcome, series);
    return series;
  }
}

/** Where requests of one tier, stage and manner are counted. */
interface Kind {
  outcomes: Map<Outcome, { value: number }>;
  wait: Histogram;
  duration: Histogram | undefined;
  ttft: Histogram | undefined;
  tpot: Histogram | undefined;
  input: { value: number };
  cachedInput: { value: number };
  output: { value: number };
}

function countTokens(kind: Kind, { inputTokens, cachedTokens, outputTokens }: UsageRecord): void {
  if (inputTokens === null) return;
  const cached = cachedTokens ?? 0;
  kind.input.value += inputTokens - cached;
  kind.cachedInput.value += cached;
  kind.output.value += outputTokens ?? 0;
}

function stageOf({ agentId, shared }: UsageRecord): Stage {
  if (agentId === null) return 'none';
  return shared ? 'shared' : 'own';
}
