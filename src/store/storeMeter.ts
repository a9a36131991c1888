/**
 * Times what is asked of the store, from the call to its answer: what somebody waits for, the queue
 * in front of the database included.
 */
import type { Clock } from '../lib/clock.ts';
import { defineMetrics, metricsText } from '../lib/metrics/metricsText.ts';
import { LabelledCounter, LabelledHistogram } from '../lib/metrics/series.ts';
import { maxMethodSeries } from './limits.ts';
import { methods, methodsOver, type Call } from './methods.ts';
import type { Store, StoreMethods } from './store.ts';

export const storeMetricTable = defineMetrics({
  xim_store_call_seconds: {
    kind: 'histogram',
    help: 'Calls of the store by what they do: read, write, change (by a person) or upkeep.',
    labels: ['access'],
  },
  xim_store_method_seconds_total: {
    kind: 'counter',
    help: 'Time that calls of each method took together.',
    labels: ['method'],
  },
  xim_store_method_calls_total: {
    kind: 'counter',
    help: 'Calls of each method of the store.',
    labels: ['method'],
  },
  xim_store_failures_total: {
    kind: 'counter',
    help: 'Calls of the store that failed: it is away, or would not take them.',
    labels: ['access'],
  },
});

/** Seconds. */
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30];

export interface StoreMeter {
  /** The same store, timed. */
  store: Store;
  /** The text for a scrape. */
  text: () => string;
}

/** The methods of a store are one table, so that all of them are timed. */
export function meterStore(store: Store, clock: Clock): StoreMeter {
  const seconds = new LabelledHistogram({ maxSeries: maxMethodSeries, bounds });
  const methodSeconds = new LabelledCounter({ maxSeries: maxMethodSeries });
  const methodCalls = new LabelledCounter({ maxSeries: maxMethodSeries });
  const failures = new LabelledCounter({ maxSeries: maxMethodSeries });
  for (const access of new Set(Object.values(methods).map((method) => method.access))) {
    failures.add([access], 0);
  }

  const timed = async ({ name, args }: Call): Promise<unknown> => {
    const startedAtMs = clock.monotonic();
    const { access } = methods[name];
    const method = store[name] as (...all: readonly unknown[]) => Promise<unknown>;
    try {
      return await method.apply(store, [...args]);
    } catch (error) {
      failures.add([access]);
      throw error;
    } finally {
      const took = (clock.monotonic() - startedAtMs) / 1000;
      seconds.observe([access], took);
      methodSeconds.add([name], took);
      methodCalls.add([name]);
    }
  };

  return {
    store: {
      ...(methodsOver(timed) satisfies StoreMethods),
      open: () => store.open(),
      close: () => store.close(),
      onChange: (listener) => store.onChange(listener),
    },
    text: () =>
      metricsText(storeMetricTable, {
        xim_store_call_seconds: seconds.samples(),
        xim_store_method_seconds_total: methodSeconds.samples(),
        xim_store_method_calls_total: methodCalls.samples(),
        xim_store_failures_total: failures.samples(),
      }),
  };
}
