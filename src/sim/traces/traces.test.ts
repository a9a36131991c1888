/** Traces of every format, written here: what is read of them, and what is said of broken ones. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { gamma, Histogram, weibull } from './draws.ts';
import { readTrace, type TraceOptions } from './readTrace.ts';
import { drawTenants, durationS, parseTenants } from './tenants.ts';
import type { TraceRequest } from './traceRequest.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'xim-traces-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, lines: readonly string[]): string {
  const whole = path.join(folder, name);
  writeFileSync(whole, `${lines.join('\n')}\n`);
  return whole;
}

function read(name: string, more: Partial<TraceOptions> = {}): TraceRequest[] {
  const options = { random: seededRandom(1), fromS: 0, requests: undefined, ...more };
  const outcome = readTrace(name, options);
  assert.equal(outcome.kind, 'read', outcome.kind === 'bad_trace' ? outcome.problem : '');
  return outcome.kind === 'read' ? outcome.requests : [];
}

function problemOf(name: string, more: Partial<TraceOptions> = {}): string {
  const options = { random: seededRandom(1), fromS: 0, requests: undefined, ...more };
  const outcome = readTrace(name, options);
  assert.equal(outcome.kind, 'bad_trace');
  return outcome.kind === 'bad_trace' ? outcome.problem.replace(folder, '') : '';
}

const row = (timestamp: number, more: object = {}): string =>
  JSON.stringify({ timestamp, input_length: 600, output_length: 9, hash_ids: [1, 2], ...more });

test('times of a Mooncake trace that are not on its grid, moved', () => {
  const requests = read(file('plain.jsonl', [row(0), row(4_500), row(3_100, { hash_ids: [] })]));
  assert.deepEqual(
    requests.map(({ atMs, blocks }) => [atMs, blocks]),
    [
      [0, [1, 2]],
      [3_100, []],
      [4_500, [1, 2]],
    ],
  );
  assert.deepEqual(requests[0], {
    atMs: 0,
    tenant: 'all',
    inputTokens: 600,
    outputTokens: 9,
    blocks: [1, 2],
  });
});

test('times on a grid of 3 s that arrive in heaps, or that a seed does not repeat', () => {
  // The published trace has 2,999 and 3,001 where 3,000 is meant.
  const lines = Array.from({ length: 300 }, (_none, at) => row(at % 3 === 0 ? 6_000 : 2_999));
  const trace = file('grid.jsonl', [row(0), ...lines]);
  const requests = read(trace);
  const times = requests.map(({ atMs }) => atMs);
  assert.equal(new Set(times).size, times.length);
  const spans = times.map((atMs) => Math.floor((atMs - (times[1] ?? 0)) / 100));
  // 3,000 to 9,000 ms without a heap anywhere, the first one somewhere before them.
  assert.ok((times.at(-1) ?? 0) <= 9_000);
  for (const span of new Set(spans)) assert.ok(spans.filter((one) => one === span).length < 30);
  assert.deepEqual(read(trace), requests);
  assert.notDeepEqual(read(trace, { random: seededRandom(2) }), requests);
});

test('decimals of an Azure trace that are lost, or a request of no tokens', () => {
  const header = 'TIMESTAMP,ContextTokens,GeneratedTokens';
  const azure = file('azure.csv', [
    `${header}\r`,
    '2023-11-16 18:15:46.6805900,374,44\r',
    '2023-11-16 18:15:46.9809951,396,0\r',
    '2024-05-10 00:00:00+00:00,7,1',
  ]);
  const requests = read(azure);
  assert.deepEqual(
    requests.map((one) => [one.inputTokens, one.outputTokens]),
    [
      [374, 44],
      [396, 1],
      [7, 1],
    ],
  );
  assert.ok(Math.abs((requests[1]?.atMs ?? 0) - 300.4051) < 0.001);
});

/** Two clients: one steady, one that sends in the second window only. */
function serveGenFolder(name: string): string {
  const whole = path.join(folder, name);
  mkdirSync(whole);
  const lengths = (input: number, output: number): string =>
    JSON.stringify({
      0: {
        input_tokens: `{${input}: 0.75, ${input + 1}: 0.25}`,
        output_tokens: `{${output}: 1.0}`,
      },
      86400: { input_tokens: '{}', output_tokens: '{}' },
    });
  const files = {
    'chunk-3-trace.csv': '0,0.5,1.0,Gamma,0.2,9\n600,0.5,1.0,Weibull,0.6,9\n',
    'chunk-3-dataset.json': lengths(100, 7),
    'chunk-12-trace.csv': '0,0,0,,0,0\n600,0.25,1.0,,0,0\n',
    'chunk-12-dataset.json': lengths(5_000, 800),
    'README.md': 'not a client',
  };
  for (const [name_, text] of Object.entries(files)) writeFileSync(path.join(whole, name_), text);
  return whole;
}

test('ServeGen clients that send at another rate, at another time or of another length', () => {
  const requests = read(serveGenFolder('day'));
  const of = (tenant: string): TraceRequest[] => requests.filter((one) => one.tenant === tenant);
  assert.deepEqual([of('client-3').length, of('client-12').length], [600, 150]);
  assert.ok(of('client-12').every(({ inputTokens }) => [5_000, 5_001].includes(inputTokens)));
  assert.ok(of('client-3').every(({ outputTokens }) => outputTokens === 7));
  const early = of('client-3').filter(({ inputTokens }) => inputTokens === 100).length;
  assert.ok(early > 400 && early < 500, `${early} of 600 have the length of three in four`);
  // Client 12 is silent for the first ten minutes; the first request of all arrives at 0.
  const first = of('client-12')[0]?.atMs ?? 0;
  assert.ok(first > 500_000 && first < 640_000, `begins at ${first}`);
  const later = read(path.join(folder, 'day'), { fromS: 600, requests: 50 });
  assert.equal(later.length, 50);
  assert.equal(later[0]?.atMs, 0);
});

test('what is no trace, taken for one, or refused without its line', () => {
  assert.match(problemOf(path.join(folder, 'none')), /no such file or folder/);
  assert.match(
    problemOf(file('a.txt', ['hello'])),
    /neither JSON lines .* nor csv with the header/,
  );
  assert.match(problemOf(file('empty.jsonl', [''])), /no trace that is known/);
  assert.match(problemOf(file('b.jsonl', [row(0), '{'])), /b\.jsonl:2: this line is not JSON/);
  const broken = { timestamp: -1, input_length: 'x', output_length: null, hash_ids: [1.5] };
  for (const [key, value] of Object.entries(broken)) {
    assert.match(
      problemOf(file('c.jsonl', [row(0, { [key]: value })])),
      new RegExp(`c.jsonl:1: ${key} `),
    );
  }
  const header = 'TIMESTAMP,ContextTokens,GeneratedTokens';
  assert.match(problemOf(file('d.csv', [header, 'noon,1,1'])), /d\.csv:2: "noon" is no time/);
  assert.match(problemOf(file('e.csv', [header, '2023-11-16 18:15:46,1'])), /three columns/);
  assert.match(
    problemOf(file('f.csv', [header, '2023-11-16 18:15:46,-1,1'])),
    /ContextTokens: "-1"/,
  );
  assert.match(problemOf(file('g.csv', [header])), /has no requests/);
  assert.match(problemOf(file('h.jsonl', [row(0)]), { fromS: 9 }), /has no requests after 9 s/);
  mkdirSync(path.join(folder, 'bare'));
  assert.match(problemOf(path.join(folder, 'bare')), /no folder of ServeGen clients/);
  const bad = serveGenFolder('bad');
  writeFileSync(path.join(bad, 'chunk-3-trace.csv'), 'start,rate\n');
  assert.match(problemOf(bad), /chunk-3-trace\.csv:1: expected are start, rate/);
  writeFileSync(path.join(bad, 'chunk-3-trace.csv'), '0,1,1,Gamma,1,1\n');
  writeFileSync(path.join(bad, 'chunk-3-dataset.json'), '{"0":{"input_tokens":"{1: x}"}}');
  assert.match(problemOf(bad), /chunk-3-dataset\.json/);
  rmSync(path.join(bad, 'chunk-12-dataset.json'));
  assert.match(problemOf(bad), /cannot both be read/);
});

test('tenants that send at another rate, or outside of their window', () => {
  const spec = parseTenants('2@3,1@20:300-600');
  assert.equal(spec.kind, 'tenants');
  const groups = spec.kind === 'tenants' ? spec.groups : [];
  assert.equal(durationS(groups), 900);
  const lengths = read(file('lengths.jsonl', [row(0, { input_length: 11 }), row(1)]));
  const requests = drawTenants(groups, { lengths, random: seededRandom(5) });
  const of = (tenant: string): TraceRequest[] => requests.filter((one) => one.tenant === tenant);
  assert.deepEqual([...new Set(requests.map(({ tenant }) => tenant))].toSorted(), [
    't1',
    't2',
    't3',
  ]);
  for (const tenant of ['t1', 't2']) assert.ok(Math.abs(of(tenant).length - 2_700) < 200);
  assert.ok(Math.abs(of('t3').length - 6_000) < 300);
  assert.ok(of('t3').every(({ atMs }) => atMs >= 300_000 && atMs < 600_000));
  const short = requests.filter(({ inputTokens }) => inputTokens === 11).length;
  assert.ok(Math.abs(short / requests.length - 0.5) < 0.05);
  assert.ok(requests.every((one, at) => one.atMs >= (requests[at - 1]?.atMs ?? 0)));
});

test('a spec of tenants that means something else than it says', () => {
  const bad = [
    '',
    '5',
    '0@1',
    '5@0',
    '5@2:9',
    '5@2:9-9',
    '5@2:9-3',
    '5@2;1@3',
    '1@99999999',
    '99999@1',
  ];
  for (const spec of bad) assert.equal(parseTenants(spec).kind, 'bad_tenants', spec);
});

test('draws whose mean is not that of their distribution', () => {
  const random = seededRandom(3);
  const mean = (draw: () => number): number => {
    let sum = 0;
    for (let at = 0; at < 20_000; at += 1) sum += draw();
    return sum / 20_000;
  };
  // Gamma: its shape. Weibull of shape 2: Γ(1.5). Both with scale 1.
  for (const shape of [0.3, 1, 4.5]) {
    assert.ok(Math.abs(mean(() => gamma(random, shape)) / shape - 1) < 0.05, `gamma ${shape}`);
  }
  assert.ok(Math.abs(mean(() => weibull(random, 2)) - 0.8862) < 0.02);
  const histogram = new Histogram([
    [10, 3],
    [20, 0],
    [50, 1],
  ]);
  assert.ok(Math.abs(mean(() => histogram.draw(random)) - 20) < 0.5);
});

const receipt = (timestamp: number, more: object = {}): string =>
  JSON.stringify({
    xim_receipt: 1,
    timestamp,
    project: 'p1',
    input_length: 1100,
    output_length: 20,
    body_bytes: 4400,
    hash_ids: [1, 2],
    block_bytes: 2048,
    outcome: 'completed',
    ttft_ms: 250,
    ...more,
  });

test('receipts lose who asked, what was shared, or what came of it', () => {
  const name = file('receipts.jsonl', [
    receipt(1_700_000_001_000),
    receipt(1_700_000_000_000, { project: 'p2', outcome: 'queue_timeout', ttft_ms: null }),
    receipt(1_700_000_003_000, { input_length: null, output_length: null, hash_ids: [1, 3] }),
  ]);
  const [first, second, third] = read(name);
  assert.deepEqual(
    [first?.tenant, first?.atMs, first?.recorded],
    ['p2', 0, { ttftMs: null, failed: true }],
  );
  assert.deepEqual([second?.atMs, second?.recorded], [1000, { ttftMs: 250, failed: false }]);
  // 1,100 tokens in 4,400 bytes: a block of 2 KiB is one of 512 tokens.
  assert.equal(second?.blocks.length, 2);
  assert.deepEqual([third?.inputTokens, third?.outputTokens], [1100, 1]);
  assert.equal(third?.blocks[0], second?.blocks[0]);
  assert.notEqual(third?.blocks[1], second?.blocks[1]);
});

test('blocks of receipts of another size are shared by prompts that differ in them', () => {
  // Two bytes a token: a block of 2 KiB holds two of the simulator's.
  const dense = { input_length: 4000, body_bytes: 8000 };
  const [one, other] = read(
    file('dense.jsonl', [
      receipt(1000, { ...dense, hash_ids: [1, 2, 3] }),
      receipt(2000, { ...dense, hash_ids: [1, 2, 4] }),
    ]),
  ).map(({ blocks }) => blocks);
  assert.ok(one && other);
  assert.equal(new Set(one).size, one.length);
  let shared = 0;
  while (one[shared] === other[shared] && shared < one.length) shared += 1;
  // Two blocks of 1,024 tokens are the same; what begins in them and ends behind is not.
  assert.ok(shared >= 3 && shared < one.length, `${shared} of ${one.length}`);
  // Eight: it holds half of one.
  const sparse = { input_length: 1000, body_bytes: 8000, hash_ids: [1, 2, 3] };
  const [short] = read(file('sparse.jsonl', [receipt(3000, sparse)]));
  assert.equal(short?.blocks.length, 1);
});

test('a receipt that cannot be read is left out in silence', () => {
  assert.match(
    problemOf(file('later.jsonl', [receipt(1, { xim_receipt: 2 })])),
    /later.jsonl:1: xim_receipt has to be 1/,
  );
  assert.match(problemOf(file('bytes.jsonl', [receipt(1, { body_bytes: -1 })])), /body_bytes/);
});
