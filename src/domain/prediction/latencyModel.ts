/**
 * How long: what one engine instance takes until its first byte, and from token to token, learned
 * online from what the router itself measures.
 *
 *     TTFT = a + b·ahead + c·own + d·pairs + e·running + f·held    [ms; thousands of tokens]
 *     TPOT = g + h·running + i·held
 *
 * An instance with few samples is like its kind, times how it compared to it so far. `LatencyModel`
 * is both: the model of a kind has no kind itself.
 *
 * A machine that has become slower is one of which little is known. Forgetting alone would take
 * hundreds of samples to see it, because a long time weighs little beside the short ones before it:
 * so what was learned is dropped when a `SlowdownAlarm` goes off.
 *
 * Invariants
 * S5 Predictions are finite and above zero, whatever was measured.
 */
import { longestMeasuredMs, minLatencySamples } from '../scheduler/limits.ts';
import { Comparison, type Teacher } from './comparison.ts';
import { SlowdownAlarm } from './slowdownAlarm.ts';
import { StratifiedFit } from './stratifiedFit.ts';

/** What an instance had to do when a request was dispatched. Tokens. */
export interface Load {
  /** Prompt tokens to be computed before this request's own. */
  ahead: number;
  /** Its own prompt tokens to be computed. */
  own: number;
  /** What the tokens to be computed look back on, of both; tokens squared. */
  aheadPairs: number;
  ownPairs: number;
  /** Sequences that decode. */
  running: number;
  /** Tokens that all of them hold. */
  held: number;
}

/** What is assumed of a machine of which nothing was learned, nor of its kind. Ms. */
export interface Prior {
  /** With nothing else to do, of a short prompt. */
  firstByteMs: number;
  promptTokenMs: number;
  tokenMs: number;
}

/** From the dispatch to the first byte, in ms. */
export interface Prediction {
  ttftMs: number;
  /** Nine of ten are no longer. */
  p90Ms: number;
}

/** A prompt: all of its tokens, and those of them that have to be computed. */
export interface Prefill {
  prompt: number;
  own: number;
}

/** What its tokens look back on: `own²` where nothing of it is cached, in tokens squared. */
export const pairsOf = ({ prompt, own }: Prefill): number => own * (2 * prompt - own);

export interface PredictorGauges {
  /** Mean absolute percentage error of the latest TTFTs, as a share. */
  mape: number;
  /** Share of the latest TTFTs that were no longer than their predicted p90. */
  p90Coverage: number;
}

const ttftFeatures = 6;
const tpotFeatures = 3;
const ttftStrata = 9;
const tpotStrata = 3;
/** Times below this differ by the clock's and the network's whims; relative errors begin here. */
const ttftFloorMs = 10;
const tpotFloorMs = 1;
const leastTokenMs = 0.01;
/** Step of the logarithm of p90 over the prediction, and where it begins. */
const quantileStep = 0.04;
const firstQuantile = Math.log(1.4);
const largestQuantile = Math.log(50);
/** Samples that the gauges look back on. */
const gaugeSamples = 500;
/** What a machine that does nothing finds. */
const idle: Load = { ahead: 0, own: 0, aheadPairs: 0, ownPairs: 0, running: 0, held: 0 };

export class LatencyModel {
  /** TTFTs that were learned from. */
  samples = 0;
  /** Predictions that the gauges look back on. */
  judged = 0;
  private tpotSamples = 0;
  private readonly kind: LatencyModel | null;
  private prior: Prior | null = null;
  private ttft = newTtftFit();
  private tpot = newTpotFit();
  private readonly ttftAlarm = new SlowdownAlarm<TtftSample>();
  private readonly tpotAlarm = new SlowdownAlarm<TpotSample>();
  private ttftComparison = new Comparison();
  private tpotComparison = new Comparison();
  private quantile = firstQuantile;
  private mape = 0;
  private coverage = 0;

  /** @param kind What machines of its kind are like; null: nothing is known of others. */
  constructor(kind: LatencyModel | null) {
    this.kind = kind;
  }

  /** Foreseen by this until something was learned. S5: whatever an agent says that it took. */
  assume({ firstByteMs, promptTokenMs, tokenMs }: Prior): void {
    this.prior = { firstByteMs, promptTokenMs, tokenMs: Math.max(leastTokenMs, tokenMs) };
  }

  /** Null while nothing is known, of this one or of its kind. */
  predict(load: Load): Prediction | null {
    const ttftMs = this.ttftMs(load);
    if (ttftMs === null) return null;
    return { ttftMs, p90Ms: ttftMs * Math.exp(this.quantile) };
  }

  /** The same without the percentile, for those who compare many. */
  ttftMs(load: Load): number | null {
    if (this.samples >= minLatencySamples) return Math.max(1, this.ownTtft(load));
    const assumed = this.assumedTtft(load);
    return assumed === null ? null : assumed * this.ttftRatio;
  }

  /** What an instance of which little is known is held against: a prior until its kind is known. */
  private get ttftTeacher(): Teacher {
    return this.kind !== null && this.kind.samples >= minLatencySamples ? 'kind' : 'prior';
  }

  private get tpotTeacher(): Teacher {
    return this.kind !== null && this.kind.tpotSamples >= minLatencySamples ? 'kind' : 'prior';
  }

  /** As its kind is, else as its prior says. */
  private assumedTtft(load: Load): number | null {
    const asKind = this.kind?.ttftMs(load) ?? null;
    if (asKind !== null || this.prior === null) return asKind;
    const { firstByteMs, promptTokenMs } = this.prior;
    return Math.max(1, firstByteMs + promptTokenMs * (load.ahead + load.own));
  }

  /** Computing a prompt, alone; null while nothing is known. */
  prefillMs(prefill: Prefill): number | null {
    if (this.samples >= minLatencySamples) {
      const { coefficients: c } = this.ttft;
      // Of a prompt among others the rate of those ahead is the better witness, where it is known.
      const perKilo = Math.max(c[2] ?? 0, c[1] ?? 0);
      return (perKilo * prefill.own) / 1000 + ((c[3] ?? 0) * pairsOf(prefill)) / 1e6;
    }
    const byPrior = this.prior && this.prior.promptTokenMs * prefill.own;
    const asKind = this.kind?.prefillMs(prefill) ?? byPrior;
    return asKind === null ? null : asKind * this.ttftRatio;
  }

  /** What of a time to the first byte is waiting for prompts ahead, and computing its own. */
  parts(load: Load): { aheadMs: number; ownMs: number } | null {
    if (this.samples >= minLatencySamples) {
      const { coefficients: c } = this.ttft;
      const { ahead, own, aheadPairs, ownPairs } = load;
      const ownMs = ((c[2] ?? 0) * own) / 1000 + ((c[3] ?? 0) * ownPairs) / 1e6;
      const aheadMs = ((c[1] ?? 0) * ahead) / 1000 + ((c[3] ?? 0) * aheadPairs) / 1e6;
      return { aheadMs, ownMs };
    }
    const perToken = this.prior?.promptTokenMs ?? null;
    const byPrior =
      perToken === null ? null : { aheadMs: perToken * load.ahead, ownMs: perToken * load.own };
    const asKind = this.kind?.parts(load) ?? byPrior;
    if (asKind === null) return null;
    const ratio = this.ttftRatio;
    return { aheadMs: asKind.aheadMs * ratio, ownMs: asKind.ownMs * ratio };
  }

  /** From token to token, in ms; null while nothing is known. */
  tpotMs({ running, held }: Pick<Load, 'running' | 'held'>): number | null {
    if (this.tpotSamples >= minLatencySamples) {
      const { coefficients: c } = this.tpot;
      const ms = (c[0] ?? 0) + (c[1] ?? 0) * running + ((c[2] ?? 0) * held) / 1000;
      return Math.max(leastTokenMs, ms);
    }
    const asKind = this.kind?.tpotMs({ running, held }) ?? this.prior?.tokenMs ?? null;
    return asKind === null ? null : asKind * this.tpotRatio;
  }

  /** A first byte. `predicted` is what was said at the dispatch; null: nothing was. */
  learnTtft(load: Load, { measuredMs, predicted }: Measured): void {
    if (!isSane(load) || !(measuredMs >= 0)) return;
    const measured = Math.min(measuredMs, longestMeasuredMs);
    if (predicted !== null) this.judge(measured, predicted);
    if (!this.watchTtft({ load, measured })) this.takeTtft({ load, measured });
    this.kind?.learnTtft(load, { measuredMs: measured, predicted: null });
  }

  private takeTtft({ load, measured }: TtftSample): void {
    const assumed = this.assumedTtft(load);
    if (assumed !== null) {
      const factor = Math.max(measured, ttftFloorMs) / Math.max(assumed, ttftFloorMs);
      this.ttftComparison.take(this.ttftTeacher, factor);
    }
    const guess = this.ttftMs(load) ?? measured;
    const size = Math.max(ttftFloorMs, (measured + guess) / 2);
    const sample = { y: measured, weight: 1 / (size * size), stratum: ttftStratum(load) };
    const lent = this.kind && { fit: this.kind.ttft, ratio: this.ttftComparison.ratio('kind') };
    this.ttft.learn(ttftVector(load), { ...sample, lent });
    this.samples += 1;
  }

  /** The mean time per token of an answer, with the load in the middle of it. */
  learnTpot(load: Pick<Load, 'running' | 'held'>, measuredMs: number): void {
    const { running, held } = load;
    if (!isSane({ ...idle, ...load }) || !(measuredMs >= 0)) return;
    const measured = Math.min(measuredMs, longestMeasuredMs);
    if (!this.watchTpot({ running, held, measured })) this.takeTpot({ running, held, measured });
    this.kind?.learnTpot(load, measured);
  }

  private takeTpot({ running, held, measured }: TpotSample): void {
    const load = { running, held };
    const asKind = this.kind?.tpotMs(load) ?? this.prior?.tokenMs ?? null;
    if (asKind !== null) {
      this.tpotComparison.take(this.tpotTeacher, Math.max(measured, leastTokenMs) / asKind);
    }
    const size = Math.max(tpotFloorMs, (measured + (this.tpotMs(load) ?? measured)) / 2);
    const stratum = running < 4 ? 0 : running < 32 ? 1 : 2;
    const lent = this.kind && { fit: this.kind.tpot, ratio: this.tpotComparison.ratio('kind') };
    const x = Float64Array.of(1, running, held / 1000);
    this.tpot.learn(x, { y: measured, weight: 1 / (size * size), stratum, lent });
    this.tpotSamples += 1;
  }

  /**
   * Begins anew, with the samples that told of the change, where a machine has become slower. True:
   * it has, and this sample is among them.
   */
  private watchTtft(sample: TtftSample): boolean {
    if (this.kind === null || this.samples < minLatencySamples) return false;
    const foreseen = Math.max(ttftFloorMs, this.ownTtft(sample.load));
    const factor = Math.max(ttftFloorMs, sample.measured) / foreseen;
    const told = this.ttftAlarm.note(sample, factor);
    if (told === null) return false;
    this.ttft = newTtftFit();
    this.ttftComparison = new Comparison({ follows: true });
    this.samples = 0;
    for (const one of told) this.takeTtft(one);
    return true;
  }

  private watchTpot(sample: TpotSample): boolean {
    if (this.kind === null || this.tpotSamples < minLatencySamples) return false;
    const foreseen = Math.max(tpotFloorMs, this.tpotMs(sample) ?? 0);
    const told = this.tpotAlarm.note(sample, Math.max(tpotFloorMs, sample.measured) / foreseen);
    if (told === null) return false;
    this.tpot = newTpotFit();
    this.tpotComparison = new Comparison({ follows: true });
    this.tpotSamples = 0;
    for (const one of told) this.takeTpot(one);
    return true;
  }

  /** Null while no prediction could be held against what came. */
  gauges(): PredictorGauges | null {
    return this.judged === 0 ? null : { mape: this.mape, p90Coverage: this.coverage };
  }

  private get ttftRatio(): number {
    return this.ttftComparison.ratio(this.ttftTeacher);
  }

  private get tpotRatio(): number {
    return this.tpotComparison.ratio(this.tpotTeacher);
  }

  private ownTtft({ ahead, own, aheadPairs, ownPairs, running, held }: Load): number {
    const { coefficients: c } = this.ttft;
    const prompts = ((c[1] ?? 0) * ahead + (c[2] ?? 0) * own) / 1000;
    const pairs = ((c[3] ?? 0) * (aheadPairs + ownPairs)) / 1e6;
    return (c[0] ?? 0) + prompts + pairs + (c[4] ?? 0) * running + ((c[5] ?? 0) * held) / 1000;
  }

  private judge(measured: number, { ttftMs, p90Ms }: Prediction): void {
    this.judged = Math.min(this.judged + 1, gaugeSamples);
    const covered = measured <= p90Ms;
    const error = Math.abs(measured - ttftMs) / Math.max(measured, 1);
    this.mape += (error - this.mape) / this.judged;
    this.coverage += ((covered ? 1 : 0) - this.coverage) / this.judged;
    const step = covered ? -0.1 * quantileStep : 0.9 * quantileStep;
    this.quantile = Math.min(largestQuantile, Math.max(0, this.quantile + step));
  }
}

interface TtftSample {
  load: Load;
  measured: number;
}

interface TpotSample {
  running: number;
  held: number;
  measured: number;
}

const newTtftFit = (): StratifiedFit =>
  new StratifiedFit({ features: ttftFeatures, strata: ttftStrata });
const newTpotFit = (): StratifiedFit =>
  new StratifiedFit({ features: tpotFeatures, strata: tpotStrata });

interface Measured {
  measuredMs: number;
  predicted: Prediction | null;
}

const isSane = ({ aheadPairs, ownPairs, ...counts }: Load): boolean =>
  [...Object.values(counts), aheadPairs / 1e9, ownPairs / 1e9].every(
    (one) => one >= 0 && one < 1e9,
  );

function ttftVector({ ahead, own, aheadPairs, ownPairs, running, held }: Load): Float64Array {
  const pairs = (aheadPairs + ownPairs) / 1e6;
  return Float64Array.of(1, ahead / 1000, own / 1000, pairs, running, held / 1000);
}

/** How loaded the instance was, by how long the prompt was. */
function ttftStratum({ ahead, own, running }: Load): number {
  const load = ahead > own ? 2 : ahead > own / 8 || running > 4 ? 1 : 0;
  const length = own < 512 ? 0 : own < 8192 ? 1 : 2;
  return load * 3 + length;
}
