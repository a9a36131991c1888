/**
 * The numbers of an attached engine, for HEARTBEAT: read with each probe for as long as it has a
 * page of metrics.
 *
 * Invariant
 * U3 Numbers are of the engine that is up now: with it go its counters, and a page that could not
 *    be read leaves none behind.
 */
import type { Clock } from '../../lib/clock.ts';
import { CounterRate } from '../health/counterRate.ts';
import { engineGauges, type EngineGauges } from '../health/engineGauges.ts';
import type { ProbeTarget } from './askEngine.ts';
import type { EngineMetrics } from './engine.ts';
import { probeMetrics } from './urlProbe.ts';

interface Known {
  gauges: EngineGauges;
  output: CounterRate;
  prompt: CounterRate;
}

export class UrlMetrics {
  private readonly target: ProbeTarget;
  private readonly clock: Clock;
  private asks = true;
  /** By the engine's name of the model. */
  private known = new Map<string, Known>();

  constructor(target: ProbeTarget) {
    this.target = target;
    this.clock = target.clock;
  }

  /** Reads the page for these models, as the engine calls them. Never rejects. */
  async refresh(engineModels: readonly string[], signal: AbortSignal): Promise<void> {
    if (!this.asks || engineModels.length === 0) return;
    const seen = await probeMetrics(this.target, signal);
    this.asks = seen.kind !== 'none';
    if (seen.kind !== 'page') return this.known.clear();
    const nowMs = this.clock.monotonic();
    this.known = new Map(
      engineModels.map((model) => [model, this.renewed(model, { page: seen.text, nowMs })]),
    );
  }

  /** The engine is gone: what comes back is another one. */
  reset(): void {
    this.asks = true;
    this.known.clear();
  }

  of(engineModel: string): Omit<EngineMetrics, 'instance' | 'running'> {
    const known = this.known.get(engineModel);
    if (known === undefined) return {};
    const { queued, kvCacheUse, outputTokensPerSecond, own } = known.gauges;
    const tokensPerSecond = outputTokensPerSecond ?? known.output.perSecond();
    const promptTokensPerSecond = known.prompt.perSecond();
    return {
      ...(queued === undefined ? {} : { queued }),
      ...(kvCacheUse === undefined ? {} : { kvCacheUse }),
      ...(tokensPerSecond === undefined ? {} : { tokensPerSecond }),
      ...(promptTokensPerSecond === undefined ? {} : { promptTokensPerSecond }),
      ...(Object.keys(own).length === 0 ? {} : { metrics: own }),
    };
  }

  private renewed(model: string, { page, nowMs }: { page: string; nowMs: number }): Known {
    const gauges = engineGauges(page, model);
    const { output = new CounterRate(), prompt = new CounterRate() } = this.known.get(model) ?? {};
    if (gauges.outputTokens !== undefined) output.note(gauges.outputTokens, nowMs);
    if (gauges.promptTokens !== undefined) prompt.note(gauges.promptTokens, nowMs);
    return { gauges, output, prompt };
  }
}
