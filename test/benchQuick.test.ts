/** The short versions of the benches work: what they offer arrives. No figure is judged. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { AnswerReader } from '../bench/load/answerReader.ts';
import { LoadWindow } from '../bench/load/loadWindow.ts';
import { timeDecisions } from '../bench/decision.ts';
import type { CancelReport } from '../bench/cancel/report.ts';
import type { ControlReport } from '../bench/control/report.ts';
import type { RoutingReport } from '../bench/routing/compare.ts';
import type { RelayReport } from '../bench/relay/summary.ts';

const root = path.join(import.meta.dirname, '..');
const small = '--quick --rounds 1 --streams 20 --many 40 --window 0.5 --contenders direct,bare,xim';

test('a bench that cannot run, or that loses what it measures', { timeout: 120_000 }, () => {
  const args = ['bench/run.ts', 'relay', '--json', ...small.split(' ')];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  const last = stdout.trim().split('\n').at(-1) ?? '';
  assert.match(last, /^\{.*\}$/, stderr);
  const report = JSON.parse(last) as RelayReport;
  // Every answer had exactly the chunks that it was to have, in their order, and its end.
  assert.deepEqual([report.failures, report.disorder, report.first_failure], [0, 0, null]);
  assert.ok((report.cpu_us_per_chunk.router.median ?? 0) > 0);
  assert.ok((report.cpu_us_per_request.router.median ?? 0) > 0);
  assert.ok((report.resident_mib.many_streams?.router ?? 0) > 0);
  assert.equal(report.targets.length, 11);
});

test('a bench in which an abort does not reach the engine, or frees nothing', () => {
  const args = ['bench/run.ts', 'cancel', '--json', '--samples', '2', '--background', '4'];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  const last = stdout.trim().split('\n').at(-1) ?? '';
  assert.match(last, /^\{.*\}$/, stderr);
  const { slot_free_ms: free, targets } = JSON.parse(last) as CancelReport;
  for (const [phase, { p50 }] of Object.entries(free)) assert.ok((p50 ?? 0) > 0, phase);
  assert.equal(targets.length, 4);
});

test('a bench of routing that loses requests, or measures no rule but the product', () => {
  const few = '--requests 8 --policies xim,lmetric --fleet 2xA100 --speed 2';
  const args = ['bench/run.ts', 'routing', '--json', ...few.split(' ')];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  const last = stdout.trim().split('\n').at(-1) ?? '';
  assert.match(last, /^\{.*\}$/, stderr);
  const { rows, whole } = JSON.parse(last) as RoutingReport;
  assert.ok(whole, stderr);
  assert.deepEqual(
    rows.map(({ policy }) => policy),
    ['xim', 'lmetric'],
  );
  for (const { real, simulated } of rows) {
    assert.ok(real.ttft_mean > 0 && simulated.ttft_mean > 0);
    assert.ok(real.ttft_mean < 100 * simulated.ttft_mean, 'the engine keeps another time');
  }
});

test('a bench whose large database does not fit the tables, or that is refused something', () => {
  const few = '--samples 1 --agents 200 --keys 200 --usage 1000 --databases sqlite';
  const args = ['bench/run.ts', 'control', '--json', '--quick', ...few.split(' ')];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  const last = stdout.trim().split('\n').at(-1) ?? '';
  assert.match(last, /^\{.*\}$/, stderr);
  const { databases, targets } = JSON.parse(last) as ControlReport;
  const [sqlite] = databases;
  assert.ok((sqlite?.reach_ms['suspend']?.max ?? 0) > 0);
  assert.equal(Object.keys(sqlite?.list_ms ?? {}).length, 17);
  assert.equal(targets.length, 5);
});

test('a bench that says of a refusal only that it was one', () => {
  const problems: unknown[] = [];
  const reader = new AnswerReader({
    onFirstByte: () => {},
    onChunk: () => {},
    onEnd: (problem, message) => problems.push([problem, message]),
  });
  const body = '{"error":{"message":"The \\"disk\\" is full.","code":"journal_unavailable"}}';
  const head = `HTTP/1.1 503 Service Unavailable\r\ncontent-length: ${body.length}\r\n\r\n`;
  reader.expect(0);
  reader.read(Buffer.from(head + body.slice(0, 20)));
  reader.read(Buffer.from(body.slice(20)));
  const said = 'The \\"disk\\" is full.';
  assert.deepEqual(problems, [['status 503 (journal_unavailable)', said]]);
});

test('failures of several kinds that are counted as one', () => {
  const window = new LoadWindow();
  window.failure('status 503 (queue_full)', 'Come back.');
  window.failure('no [DONE]');
  window.failure('status 503 (queue_full)', 'Come back later.');
  const { failures, problems } = window.result(0);
  assert.equal(failures, 3);
  assert.deepEqual(problems, [
    { problem: 'status 503 (queue_full)', message: 'Come back.', count: 2 },
    { problem: 'no [DONE]', message: '', count: 1 },
  ]);
});

test('a bench that nobody knows is started as if it were there', () => {
  const { status, stderr } = spawnSync(process.execPath, ['bench/run.ts', 'nothing'], {
    cwd: root,
    encoding: 'utf8',
  });
  assert.equal(status, 2);
  assert.match(stderr, /relay/);
});

test('a bench of decisions in which nobody waits, or nothing is decided', () => {
  const row = timeDecisions({ agents: 20, waiting: 10, decisions: 30 });
  for (const { p50, p99 } of [row.arrive_us, row.next_us]) assert.ok(p50 > 0 && p99 >= p50);
});
