import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { metricsMarkdown, metricTables } from './metricTables.ts';

const root = path.join(import.meta.dirname, '..', '..', '..');
const file = path.join(root, 'docs', 'operating', 'monitoring.md');
const begin = '<!-- metrics: made from the tables of the source -->\n';
const end = '<!-- end of metrics -->\n';

/** The formatter pads the cells of tables. */
const unpadded = (text: string): string => text.replaceAll(/ +/g, ' ').replaceAll(/-{3,}/g, '---');

test('a page that names a metric that is not there, or lacks one', () => {
  const text = readFileSync(file, 'utf8');
  const [before = '', rest = ''] = text.split(begin);
  const [made = '', after = ''] = rest.split(end);
  if (process.env['XIM_UPDATE_GOLDENS'] === '1') {
    writeFileSync(file, `${before}${begin}\n${metricsMarkdown()}\n${end}${after}`);
  }
  assert.equal(unpadded(made).trim(), unpadded(metricsMarkdown()).trim());
});

test('two planes that give the same name to two things', () => {
  const names = metricTables.flatMap(({ table }) => Object.keys(table));
  assert.equal(new Set(names).size, names.length);
});
