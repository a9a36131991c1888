/** Traces as the configuration has them: sampler, queue and the calls of the collector. */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { defineMetrics, metricsText } from '../../lib/metrics/metricsText.ts';
import type { Random } from '../../lib/random.ts';
import { otlpJson } from '../../lib/tracing/otlpJson.ts';
import { createSampler } from '../../lib/tracing/sampler.ts';
import { noTracing, type Span, type Tracing } from '../../lib/tracing/span.ts';
import { SpanQueue, type Sent, type SpanCounts } from '../../lib/tracing/spanQueue.ts';
import { Tracer } from '../../lib/tracing/tracer.ts';
import { collectorUrl, parsePairs, samplerOf, type TracingConfig } from './tracingConfig.ts';

export const tracingMetricTable = defineMetrics({
  xim_trace_spans_total: {
    kind: 'counter',
    help: 'Spans: exported, dropped because too many waited, or failed at the collector.',
    labels: ['result'],
  },
  xim_trace_spans_waiting: { kind: 'gauge', help: 'Spans that wait for the collector.' },
});

export interface Traces {
  tracing: Tracing;
  /** The text for a scrape. */
  metrics(): string;
  /** Sends what there is, `stopMs` at most. Never rejects. */
  stop(): Promise<void>;
}

/** What a collector that hangs may hold up the end of the server for, in ms. */
const stopMs = 500;
/** What a collector says that is busy; anything else below 500 it will not take ever. */
const busy = new Set([429, 502, 503, 504]);
const none: SpanCounts = { exported: 0, dropped: 0, failed: 0, waiting: 0 };

export function openTraces(options: {
  config: TracingConfig;
  version: string;
  /** Which process of the service it is. */
  instanceId: string;
  clock: Clock;
  random: Random;
  log: Logger;
}): Traces {
  const { config, clock, random } = options;
  const url = collectorUrl(config);
  if (url === undefined) {
    const stop = (): Promise<void> => Promise.resolve();
    return { tracing: noTracing, metrics: () => textOf(none), stop };
  }
  const { name, ratio, warnings } = samplerOf(config);
  for (const warning of warnings) options.log.warn({}, warning);
  const sampler = createSampler(name, ratio);
  const bounds = {
    maxSpans: config.otelQueue,
    batchSpans: Math.min(config.otelBatch, config.otelQueue),
    delayMs: config.otelDelayMs,
  };
  const queue = new SpanQueue({ ...options, bounds, send: collector(url, options) });
  return {
    tracing: new Tracer({ random, sampler, queue }),
    metrics: () => textOf(queue.counts),
    async stop() {
      let late = (): void => {};
      const deadline = new Promise<void>((resolve) => (late = resolve));
      const timer = clock.setTimer(stopMs, () => late(), { keepAlive: true });
      await Promise.race([queue.stop(), deadline]);
      timer.cancel();
    },
  };
}

/** One call per batch. Never rejects. */
function collector(
  url: string,
  { config, version, instanceId, log }: Parameters<typeof openTraces>[0],
): (spans: readonly Span[]) => Promise<Sent> {
  const given = parsePairs(config.otelTracesHeaders ?? config.otelHeaders ?? '') ?? {};
  const headers = { ...given, 'content-type': 'application/json' };
  const about = {
    scope: { name: 'xim', version },
    resource: {
      'service.name': 'xim',
      'service.version': version,
      'service.instance.id': instanceId,
      ...parsePairs(config.otelResource ?? ''),
      ...(config.otelServiceName === undefined ? {} : { 'service.name': config.otelServiceName }),
    },
  };
  return async (spans) => {
    try {
      const signal = AbortSignal.timeout(config.otelTimeoutMs);
      const body = otlpJson(spans, about);
      const answer = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'error' });
      await answer.body?.cancel();
      if (answer.ok) return 'taken';
      log.debug({ status: answer.status }, 'the collector of traces refused a batch');
      return busy.has(answer.status) ? 'later' : 'refused';
    } catch (error) {
      log.debug({ err: error }, 'the collector of traces cannot be reached');
      return 'later';
    }
  };
}

function textOf({ exported, dropped, failed, waiting }: SpanCounts): string {
  return metricsText(tracingMetricTable, {
    xim_trace_spans_total: [
      [['exported'], exported],
      [['dropped'], dropped],
      [['failed'], failed],
    ],
    xim_trace_spans_waiting: waiting,
  });
}
