/** What is counted of HTTP itself: answers by status, refusals by their row of the error table. */
import type { ErrorName } from '../api/errors.ts';
import { defineMetrics, metricsText } from '../lib/metrics/metricsText.ts';
import type { Sample } from '../lib/metrics/series.ts';

export const httpMetricTable = defineMetrics({
  xim_http_requests_running: { kind: 'gauge', help: 'HTTP requests that are not answered yet.' },
  xim_http_answers_total: {
    kind: 'counter',
    help: 'HTTP answers of all planes, by status; 0: the client left before there was one.',
    labels: ['status'],
  },
  xim_http_refusals_total: {
    kind: 'counter',
    help: 'Refusals outside the control routes, by the name of their row in the error table.',
    labels: ['error'],
  },
});

export class HttpMeter {
  running = 0;
  private readonly answers = new Map<number, number>();
  private readonly refusals = new Map<ErrorName, number>();

  began(): void {
    this.running += 1;
  }

  /** `status` is one that this server writes: there are some thirty. */
  ended(status: number): void {
    this.running -= 1;
    this.answers.set(status, (this.answers.get(status) ?? 0) + 1);
  }

  refused(name: ErrorName): void {
    this.refusals.set(name, (this.refusals.get(name) ?? 0) + 1);
  }

  /** The text for a scrape. */
  text(): string {
    return metricsText(httpMetricTable, {
      xim_http_requests_running: this.running,
      xim_http_answers_total: samples(this.answers),
      xim_http_refusals_total: samples(this.refusals),
    });
  }
}

const samples = (counts: ReadonlyMap<string | number, number>): Sample[] =>
  Array.from(counts, ([label, count]) => [[String(label)], count] as const);
