/**
 * Metrics as declarative tables, and their text in Prometheus' format (version 0.0.4). Each plane
 * has a table of what it measures; the users' page, the dashboard and the alerts are checked
 * against the same rows.
 *
 * Invariants
 * T1 A name that is in no table cannot be written, and one that has no value does not compile.
 * T2 Every family has its HELP and TYPE, also while it has no series.
 */
import type { Histogram } from './histogram.ts';
import type { Sample } from './series.ts';

export interface MetricRow {
  kind: 'counter' | 'gauge' | 'histogram';
  /** One sentence. */
  help: string;
  /** Names of the labels, in the order in which samples give their values. */
  labels?: readonly string[];
}

export type MetricTable = Readonly<Record<string, MetricRow>>;

/** The value of a metric without labels, or its series. */
export type MetricValue = number | Histogram | readonly Sample[];

/** Checks a table's shape at compile time and keeps its names. */
export function defineMetrics<const Table extends MetricTable>(table: Table): Table {
  return table;
}

/** The text for a scrape (T1, T2), with a line break at its end. */
export function metricsText<Table extends MetricTable>(
  table: Table,
  values: Readonly<Record<keyof Table, MetricValue>>,
): string {
  const lines: string[] = [];
  for (const [name, row] of Object.entries(table)) {
    lines.push(`# HELP ${name} ${escapedHelp(row.help)}`, `# TYPE ${name} ${row.kind}`);
    for (const [labels, value] of samplesOf(values[name])) {
      const pairs = labels.map((label, at) => `${row.labels?.[at] ?? ''}="${escaped(label)}"`);
      if (typeof value === 'number') lines.push(`${name}${braced(pairs)} ${numberText(value)}`);
      else pushHistogram(lines, { name, pairs, histogram: value });
    }
  }
  return `${lines.join('\n')}\n`;
}

function samplesOf(value: MetricValue | undefined): readonly Sample[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [[[], value as number | Histogram]];
}

function pushHistogram(
  lines: string[],
  { name, pairs, histogram }: { name: string; pairs: readonly string[]; histogram: Histogram },
): void {
  const { bounds, count, sum } = histogram;
  for (const [at, below] of histogram.cumulative().entries()) {
    const bound = numberText(bounds[at] ?? Infinity);
    lines.push(`${name}_bucket${braced([...pairs, `le="${bound}"`])} ${below}`);
  }
  lines.push(`${name}_bucket${braced([...pairs, 'le="+Inf"'])} ${count}`);
  lines.push(`${name}_sum${braced(pairs)} ${numberText(sum)}`);
  lines.push(`${name}_count${braced(pairs)} ${count}`);
}

const braced = (pairs: readonly string[]): string =>
  pairs.length === 0 ? '' : `{${pairs.join(',')}}`;

function numberText(value: number): string {
  if (value === Infinity) return '+Inf';
  return value === -Infinity ? '-Inf' : String(value);
}

function escapedHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escaped(value: string): string {
  return escapedHelp(value).replaceAll('"', '\\"');
}
