/** Everything that `/metrics` has, plane by plane, and its table for the users' page. */
import { httpMetricTable } from '../../http/httpMeter.ts';
import type { MetricTable } from '../../lib/metrics/metricsText.ts';
import { routerMetricTable } from '../../router/metrics/routerMetrics.ts';
import { storeMetricTable } from '../../store/storeMeter.ts';
import { processMetricTable } from '../process/processMeter.ts';
import { tracingMetricTable } from './tracing.ts';

export const metricTables: readonly { title: string; table: MetricTable }[] = [
  { title: 'Router', table: routerMetricTable },
  { title: 'HTTP', table: httpMetricTable },
  { title: 'Database', table: storeMetricTable },
  { title: 'Process', table: processMetricTable },
  { title: 'Traces', table: tracingMetricTable },
];

/** As it stands in `docs/operating/monitoring.md`. */
export function metricsMarkdown(): string {
  return metricTables
    .map(({ title, table }) =>
      [
        `### ${title}`,
        '',
        '| Metric | Kind | Labels | Meaning |',
        '| --- | --- | --- | --- |',
        ...Object.entries(table).map(([name, { kind, labels = [], help }]) => {
          const named = labels.map((label) => `\`${label}\``).join(', ');
          return `| \`${name}\` | ${kind} | ${named} | ${help} |`;
        }),
        '',
      ].join('\n'),
    )
    .join('\n');
}
