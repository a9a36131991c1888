/** What is given to Prometheus is what Prometheus takes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { metricTables } from '../../src/main/monitoring/metricTables.ts';
import { endLeftovers } from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
} from '../../src/testing/processes/serverProcess.ts';
import { systemBinary } from '../../src/testing/processes/systemBinary.ts';
import { readMetrics } from '../../src/testing/router/readMetrics.ts';

const promtool = systemBinary({ names: ['promtool'], debianPackage: 'prometheus' });
let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let scrape = '';

before(async () => {
  base = await temporaryDirectory('monitoring');
  const server = await startServerProcess({ dataDir: base.path, args: ['--no-agent'] });
  scrape = await (await fetch(`${server.credentials().server}/metrics`)).text();
});
after(async () => {
  endLeftovers();
  await base.remove();
});

test('a metric that is in a table and not in a scrape, or otherwise', () => {
  const tables = metricTables.flatMap(({ table }) => Object.entries(table));
  const families = readMetrics(scrape);
  assert.deepEqual([...families.keys()].toSorted(), tables.map(([name]) => name).toSorted());
  for (const [name, { kind, labels = [] }] of tables) {
    const family = families.get(name);
    assert.equal(family?.kind, kind);
    for (const { labels: given } of family?.samples ?? []) {
      const names = Object.keys(given).filter((label) => label !== 'le');
      assert.deepEqual(names, labels, name);
    }
  }
});

test('a scrape that breaks the format or the conventions of Prometheus', (t) => {
  if (promtool.kind === 'missing') return t.skip(promtool.reason);
  const { status, stdout, stderr } = spawnSync(promtool.path, ['check', 'metrics'], {
    input: scrape,
    encoding: 'utf8',
  });
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
});
