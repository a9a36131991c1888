/** `/metrics`: what the router counts, in Prometheus' text format. */

import type { RouterStats } from '../router/router.ts';

/** One counter or gauge, with its label values. */
interface Metric {
  name: string;
  help: string;
  kind: 'counter' | 'gauge';
  samples: readonly { labels?: Readonly<Record<string, string>>; value: number }[];
}

/** The text for a scrape. */
export function routerMetrics(stats: RouterStats): string {
  const gauge = (name: string, help: string, value: number): Metric => ({
    name,
    help,
    kind: 'gauge',
    samples: [{ value }],
  });
  const outcomes = Object.entries(stats.outcomes);
  return metricsText([
    gauge('xim_requests_running', 'Requests that an agent serves now.', stats.running),
    gauge('xim_requests_waiting', 'Requests in the queue now.', stats.waiting),
    gauge('xim_agents_linked', 'Agents with a link up.', stats.linkedAgents),
    gauge('xim_journal_ok', '1 while the journal can be written.', Number(stats.journal === 'ok')),
    {
      name: 'xim_requests_total',
      help: 'Requests that ended, by outcome.',
      kind: 'counter',
      samples: outcomes.map(([outcome, value]) => ({ labels: { outcome }, value })),
    },
  ]);
}

/** Label values are escaped; names are ours. */
function metricsText(metrics: readonly Metric[]): string {
  return metrics
    .flatMap(({ name, help, kind, samples }) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${kind}`,
      ...samples.map(({ labels, value }) => `${name}${labelsText(labels)} ${value}`),
    ])
    .join('\n')
    .concat('\n');
}

function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  if (labels === undefined) return '';
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
