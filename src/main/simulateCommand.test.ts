/** `xim simulate` as a person and a program use it: flags, refusals, what it prints. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { CommandContext } from '../cli/command.ts';
import { commandHelp } from '../cli/helpText.ts';
import { runCli } from '../cli/runCli.ts';
import { assertGolden } from '../testing/golden.ts';
import { processContext } from './process/processContext.ts';
import { simulateCommand } from './simulateCommand.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'xim-simulate-'));
after(() => rmSync(folder, { recursive: true }));

const trace = path.join(folder, 'trace.jsonl');
writeFileSync(
  trace,
  Array.from({ length: 40 }, (_none, at) =>
    JSON.stringify({
      timestamp: at * 250,
      input_length: at % 8 === 0 ? 17_000 : 900,
      output_length: 20 + at,
      hash_ids: [0, at % 3],
    }),
  ).join('\n'),
);

async function simulate(line: string): Promise<{ code: number; out: string; notes: string }> {
  const said = { out: '', notes: '' };
  // A clock that stands still: decisions take no time, and what is printed does not change.
  const context: CommandContext = {
    ...processContext,
    clock: { ...processContext.clock, monotonic: () => 0 },
    terminal: {
      out: (text) => void (said.out += text),
      note: (text) => void (said.notes += text),
      drained: () => Promise.resolve(),
      screen: false,
    },
  };
  const words = ['simulate', ...line.split(' ').filter((word) => word !== '')];
  const code = await runCli([simulateCommand], context, words);
  return { code, ...said };
}

test('a wrong flag that is taken, or refused without a word on what is allowed', async () => {
  const good = `--trace ${trace} --policy random`;
  const wrong: [line: string, said: RegExp][] = [
    ['', /--trace is missing; .*\n.*--policy is missing; give one of round-robin, random/],
    [`--trace ${trace}x --policy random`, /trace\.jsonlx: there is no such file or folder/],
    [`--trace ${trace} --policy best`, /--policy: "best" is not allowed; give one of round-robin,/],
    [`${good} --order lifo`, /--order: "lifo" is not allowed; give one of fcfs, /],
    [`${good} --fleet 8xTPU`, /--fleet: "8xTPU" is not allowed; give countxA100/],
    [`${good} --speed 0`, /--speed: "0" is not allowed; give more than 0/],
    [`${good} --speed fast`, /--speed: "fast" is not allowed; give a number/],
    [`${good} --seed -1`, /--seed: "-1" is not allowed/],
    [`${good} --seed 1.5`, /--seed: "1.5" is not allowed/],
    [`${good} --inflight-cap 0`, /--inflight-cap: "0" is not allowed; give at least 1/],
    [`${good} --queue-timeout 0`, /--queue-timeout: "0" is not allowed; give more than 0/],
    [`${good} --queue-timeout`, /--queue-timeout needs a value/],
    [`${good} --tenants 5`, /--tenants: "5" is not allowed; give tenants@rate/],
    [`${good} --tenants 5@2 --speed 2`, /--speed: the rates of --tenants are as they are/],
    [`${good} --faults 9@1-2`, /--faults: "9@1-2": the fleet has machines 1 to 8/],
    [`${good} --requests 0`, /--requests: "0" is not allowed/],
    [`${good} --from -3`, /--from: "-3" is not allowed/],
    [`${good} --from 99999`, /has no requests after 99999 s/],
    [`${good} --sped 2`, /--sped is not a flag of this command/],
    [`${good} more`, /"more" is not expected here/],
  ];
  for (const [line, said] of wrong) {
    const { code, out, notes } = await simulate(line);
    assert.notEqual(code, 0, line);
    assert.equal(out, '', line);
    assert.match(notes, said);
  }
});

test('all problems of the flags, of which only the first is told', async () => {
  const { code, notes } = await simulate('--fleet x --tenants y --faults 1@2-1');
  assert.equal(code, 2);
  for (const flag of ['trace', 'policy', 'fleet', 'tenants'])
    assert.match(notes, RegExp(`--${flag}`));
});

test('--json: a line behind the object, another key in it, or progress among it', async () => {
  const { code, out, notes } = await simulate(
    `--trace ${trace} --policy mooncake-ttft --fleet 2xA100+1xA100@3 --speed 2 --seed 7 --json`,
  );
  assert.equal(code, 0);
  assert.match(notes, /40 of 40 over at \d+ s/);
  const lines = out.split('\n');
  assert.equal(lines.pop(), '');
  const report = JSON.parse(lines.at(-1) ?? '') as Record<string, unknown>;
  assert.equal(
    Object.keys(report).join(' '),
    'policy order trace fleet speed seed requests ttft tpot e2e share_under_5s share_failed long ' +
      'hit_share tokens_per_s tenants predictor decision_us',
  );
  const { policy, order, fleet, speed, seed, requests } = report;
  assert.deepEqual(
    { policy, order, trace: report['trace'], fleet, speed, seed, requests },
    {
      policy: 'mooncake-ttft',
      order: null,
      trace,
      fleet: '2xA100+1xA100@3',
      speed: 2,
      seed: 7,
      requests: 40,
    },
  );
  for (const spread of ['ttft', 'tpot', 'e2e']) {
    const figures = report[spread] as Record<string, number>;
    assert.deepEqual(Object.keys(figures), ['mean', 'p50', 'p90', 'p99', 'max']);
    for (const figure of Object.values(figures)) assert.ok(figure > 0);
  }
  assert.deepEqual(Object.keys(report['long'] as object), ['share_under_5s', 'share_failed']);
  assert.deepEqual(Object.keys(report['predictor'] as object), ['mape', 'p90_coverage']);
  assert.deepEqual(Object.keys(report['decision_us'] as object), ['p50', 'p99']);
});

test('what a person reads, changed unseen', async () => {
  const { out } = await simulate(
    `--trace ${trace} --policy least-requests --fleet 2xA100 --order vtc --inflight-cap 2 ` +
      '--queue-timeout 30 --tenants 2@0.5,1@3:10-20 --faults 2@12-14',
  );
  assertGolden('cli/simulate.txt', out.replaceAll(folder, ''));
  assertGolden('cli/simulateHelp.txt', commandHelp(simulateCommand));
});

test('an order that is not said where requests wait, or said where they do not', async () => {
  const orderOf = async (more: string): Promise<unknown> => {
    const { out } = await simulate(`--trace ${trace} --policy lmetric --json ${more}`);
    return (JSON.parse(out) as { order: unknown }).order;
  };
  assert.equal(await orderOf(''), null);
  assert.equal(await orderOf('--inflight-cap 4'), 'fcfs');
  assert.equal(await orderOf('--order round-robin-tenant'), 'round-robin-tenant');
});

test('receipts of a server are not replayed, or its refusal is no reason to stop', async (t) => {
  const rows = Array.from({ length: 20 }, (_none, at) => ({
    xim_receipt: 1,
    timestamp: 1_700_000_000_000 + at * 400,
    project: `p${at % 2}`,
    input_length: 900,
    output_length: 20,
    body_bytes: 3600,
    hash_ids: [at % 3],
    block_bytes: 2048,
    outcome: 'completed',
    ttft_ms: 100,
  }));
  let status = 200;
  const paths: string[] = [];
  const server = http.createServer((request, response) => {
    paths.push(request.url ?? '');
    response.writeHead(status, { 'content-type': 'application/x-ndjson' });
    response.end(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  });
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const base = `http://127.0.0.1:${port}`;
  const file = path.join(folder, 'credentials.json');
  const urls = { server: base, base_url: `${base}/v1`, dashboard_url: `${base}/ui/` };
  const keys = { api_key: 'k', management_key: 'k', admin: { email: 'a@b.example' } };
  const names = { version: 1, pin: null, project: 'default', endpoint: 'default' };
  writeFileSync(file, JSON.stringify({ ...names, ...urls, ...keys }));
  const line = `--from-server --context ${file} --policy random --fleet 1xA100 --json`;
  const good = await simulate(line);
  assert.equal(good.code, 0, good.notes);
  const report = JSON.parse(good.out) as { requests: number; recorded: { ttft: { mean: number } } };
  assert.equal(report.requests, 20);
  assert.ok(Math.abs(report.recorded.ttft.mean - 0.1) < 1e-9);
  assert.deepEqual(paths, ['/api/v1/platform/receipts']);
  status = 403;
  const refused = await simulate(line);
  assert.notEqual(refused.code, 0);
  assert.equal(refused.out, '');
});
