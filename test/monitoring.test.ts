/**
 * Dashboard and alerts hold to the metrics that there are: names, labels, and the grammar of
 * Prometheus, which its own program checks.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { grafanaDashboard } from '../scripts/monitoring/grafanaDashboard.ts';
import { panelRows } from '../scripts/monitoring/panels.ts';
import type { MetricRow } from '../src/lib/metrics/metricsText.ts';
import { metricTables } from '../src/main/monitoring/metricTables.ts';
import { systemBinary } from '../src/testing/processes/systemBinary.ts';

const folder = path.join(import.meta.dirname, '..', 'docs', 'monitoring');
const dashboardFile = path.join(folder, 'xim-dashboard.json');
const alertsFile = path.join(folder, 'xim-alerts.yaml');
const alertCasesFile = path.join(folder, 'xim-alerts.test.yaml');
const promtool = systemBinary({ names: ['promtool'], debianPackage: 'prometheus' });

const rows = new Map<string, MetricRow>(metricTables.flatMap(({ table }) => Object.entries(table)));
const panels = panelRows.flatMap((row) => row.panels);
const expressions = panels.flatMap(({ lines }) => Object.values(lines));

/** Every metric that a text names, with what the name stands for. */
function namesIn(text: string): { name: string; row: MetricRow | undefined }[] {
  const names = text.match(/\b(?:xim|process|nodejs)_[a-z0-9_]+/g) ?? [];
  return [...new Set(names)].map((name) => {
    const family = name.replace(/_(bucket|sum|count)$/, '');
    const histogram = rows.get(family);
    const row = rows.get(name) ?? (histogram?.kind === 'histogram' ? histogram : undefined);
    return { name, row };
  });
}

test('a panel or an alert about a metric that is not there', () => {
  const alerts = readFileSync(alertsFile, 'utf8');
  const text = [...expressions, alerts, readFileSync(alertCasesFile, 'utf8')].join('\n');
  const dead = namesIn(text).filter(({ row }) => row === undefined);
  assert.deepEqual(dead, []);
  assert.ok(namesIn(alerts).length >= 9, 'the pattern for names finds none');
});

test('two metrics that OpenMetrics, where a counter has no end, takes for one family', () => {
  const families = [...rows.keys()].map((name) => name.replace(/_total$/, ''));
  const twice = families.filter((name, at) => families.indexOf(name) !== at);
  assert.deepEqual(twice, []);
});

test('a panel that divides a metric by a label that it does not have', () => {
  const wrong = panels.flatMap(({ lines }) =>
    Object.entries(lines).flatMap(([legend, expression]) => {
      const grouped = [...expression.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) =>
        list.split(',').map((one) => one.trim()),
      );
      const matched = [...expression.matchAll(/[{,]([a-z_]+)(?:=~|=)"/g)].map(([, one]) => one);
      const shown = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, one]) => one);
      const had = namesIn(expression).flatMap(({ row }) => row?.labels ?? []);
      const known = new Set([...had, 'le', 'job', 'instance']);
      return [...grouped, ...matched, ...shown].filter((one) => !known.has(one ?? ''));
    }),
  );
  assert.deepEqual(wrong, []);
});

test('a metric of the product that no panel shows, without a reason', () => {
  const shown = new Set(namesIn(expressions.join('\n')).map(({ row }) => row));
  const hidden = [...rows].filter(([, row]) => !shown.has(row)).map(([name]) => name);
  assert.deepEqual(hidden, [
    // Sizes, for whoever looks for the reason of something else.
    'xim_requests_waiting_bytes',
    'xim_request_body_bytes',
    'xim_answer_bytes_total',
    'xim_usage_clamped_total',
    'xim_agents_penalized',
    'xim_prefix_blocks',
    'xim_links',
    'xim_receipts',
    'xim_receipts_bytes',
    'xim_receipts_lost_total',
    // An alert.
    'xim_journal_ok',
    'xim_journal_bytes',
    'xim_journal_pending_bytes',
    // An alert, and what its log lines say.
    'xim_journal_refused_waiting_records',
    'xim_journal_refused_records_total',
    'xim_journal_given_up_records_total',
    'xim_journal_unreadable_lines_total',
    'xim_journal_set_aside_files_total',
    'xim_http_requests_running',
    'xim_http_refusals_total',
    'xim_store_method_calls_total',
    // The dashboard's variables.
    'xim_build_info',
    'process_start_time_seconds',
    'nodejs_heap_size_total_bytes',
    'nodejs_external_memory_bytes',
    'xim_trace_spans_total',
    'xim_trace_spans_waiting',
  ]);
});

test('a dashboard that is not the one of the panels', () => {
  const dashboard = grafanaDashboard();
  const text = `${JSON.stringify(dashboard, null, 2)}\n`;
  if (process.env['XIM_UPDATE_GOLDENS'] === '1') writeFileSync(dashboardFile, text);
  const file = JSON.parse(readFileSync(dashboardFile, 'utf8')) as unknown;
  assert.deepEqual(file, JSON.parse(text), 'XIM_UPDATE_GOLDENS=1 writes it');
});

test('panels that lie upon one another, or have one id', () => {
  const { panels: drawn } = grafanaDashboard() as {
    panels: { id: number; gridPos: { x: number; y: number; w: number; h: number } }[];
  };
  assert.equal(new Set(drawn.map(({ id }) => id)).size, drawn.length);
  const cells = drawn.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, at) => `${x + (at % w)}:${y + Math.floor(at / w)}`),
  );
  assert.equal(new Set(cells).size, cells.length);
});

function run(...args: string[]): { status: number | null; text: string } {
  assert.equal(promtool.kind, 'found');
  const { status, stdout, stderr } = spawnSync(promtool.path, args, { encoding: 'utf8' });
  return { status, text: `${stdout}${stderr}` };
}

test('an expression of the dashboard that Prometheus cannot read', async (t) => {
  if (promtool.kind === 'missing') return t.skip(promtool.reason);
  const directory = await mkdtemp(path.join(tmpdir(), 'xim-panels-'));
  const file = path.join(directory, 'panels.json');
  // Grafana puts its own variables in; rules are read from JSON, too, which is YAML.
  const rules = expressions.map((expression, at) => ({
    record: `panel:${at}`,
    expr: expression.replaceAll('$__rate_interval', '5m'),
  }));
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules }] }));
  const { status, text } = run('check', 'rules', file);
  await rm(directory, { recursive: true });
  assert.equal(status, 0, text);
  assert.match(text, new RegExp(`SUCCESS: ${expressions.length} rules found`));
});

test('an alert that Prometheus cannot read, that stays silent, or that cries for nothing', (t) => {
  if (promtool.kind === 'missing') return t.skip(promtool.reason);
  const read = run('check', 'rules', alertsFile);
  assert.equal(read.status, 0, read.text);
  const cases = run('test', 'rules', alertCasesFile);
  assert.equal(cases.status, 0, cases.text);
});
