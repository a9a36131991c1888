/**
 * What the process itself shows: memory, CPU time, collections, and how late its event loop is.
 * Names are those of Prometheus' own client libraries where there are such, so that what others
 * have made for them works here.
 */
import { PerformanceObserver, constants, performance } from 'node:perf_hooks';
import type { Clock, Timer } from '../../lib/clock.ts';
import { Histogram } from '../../lib/metrics/histogram.ts';
import { defineMetrics, metricsText } from '../../lib/metrics/metricsText.ts';
import { LabelledHistogram } from '../../lib/metrics/series.ts';

export const processMetricTable = defineMetrics({
  xim_build_info: { kind: 'gauge', help: 'Always 1.', labels: ['version', 'node'] },
  xim_event_loop_delay_seconds: {
    kind: 'histogram',
    help: 'How late a timer was, four times a second: what anything that comes in waits.',
  },
  xim_event_loop_active_seconds_total: {
    kind: 'counter',
    help: 'Time in which the event loop was at work.',
  },
  process_cpu_seconds_total: { kind: 'counter', help: 'CPU time of the process, all threads.' },
  process_resident_memory_bytes: { kind: 'gauge', help: 'Memory that the process holds.' },
  process_start_time_seconds: { kind: 'gauge', help: 'Start of the process since the epoch.' },
  nodejs_heap_size_total_bytes: { kind: 'gauge', help: 'Heap that V8 has taken.' },
  nodejs_heap_size_used_bytes: { kind: 'gauge', help: 'Heap that is in use.' },
  nodejs_external_memory_bytes: {
    kind: 'gauge',
    help: 'Memory beyond the heap, buffers included.',
  },
  nodejs_gc_duration_seconds: {
    kind: 'histogram',
    help: 'Pauses for collecting garbage, by kind.',
    labels: ['kind'],
  },
});

/** How often the event loop is asked how late it is, in ms. */
const loopSampleMs = 250;
/** Seconds. */
const delayBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
const pauseBounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5];
/** Collections have four kinds. */
const maxPauseSeries = 8;

const pauseKinds = new Map([
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weakcb'],
]);

export class ProcessMeter {
  private readonly clock: Clock;
  private readonly version: string;
  private readonly startedAtMs: number;
  private readonly delay = new Histogram(delayBounds);
  private readonly pauses = new LabelledHistogram({
    maxSeries: maxPauseSeries,
    bounds: pauseBounds,
  });
  private readonly collections: PerformanceObserver;
  private timer: Timer | undefined;

  constructor({ clock, version }: { clock: Clock; version: string }) {
    this.clock = clock;
    this.version = version;
    this.startedAtMs = clock.now() - process.uptime() * 1000;
    this.collections = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) this.notePause(entry);
    });
  }

  start(): void {
    this.collections.observe({ entryTypes: ['gc'] });
    this.arm();
  }

  stop(): void {
    this.collections.disconnect();
    this.timer?.cancel();
  }

  /** The text for a scrape. */
  text(): string {
    const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    return metricsText(processMetricTable, {
      xim_build_info: [[[this.version, process.version], 1]],
      xim_event_loop_delay_seconds: this.delay,
      xim_event_loop_active_seconds_total: performance.eventLoopUtilization().active / 1000,
      process_cpu_seconds_total: (user + system) / 1e6,
      process_resident_memory_bytes: rss,
      process_start_time_seconds: this.startedAtMs / 1000,
      nodejs_heap_size_total_bytes: heapTotal,
      nodejs_heap_size_used_bytes: heapUsed,
      nodejs_external_memory_bytes: external,
      nodejs_gc_duration_seconds: this.pauses.samples(),
    });
  }

  private arm(): void {
    const dueAtMs = this.clock.monotonic() + loopSampleMs;
    this.timer = this.clock.setTimer(loopSampleMs, () => {
      this.delay.observe(Math.max(0, this.clock.monotonic() - dueAtMs) / 1000);
      this.arm();
    });
  }

  private notePause(entry: { duration: number; detail?: unknown }): void {
    const { kind } = entry.detail as { kind: number };
    this.pauses.observe([pauseKinds.get(kind) ?? 'other'], entry.duration / 1000);
  }
}
