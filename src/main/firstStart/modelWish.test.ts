import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { engineModelWish, modelWishOf } from './modelWish.ts';
import { serveConfigProblems, serveTable } from '../server/serveConfig.ts';
import type { ServeConfig } from '../server/serveConfig.ts';
import { StartupError } from '../process/startupError.ts';
import { tiersFrom } from '../server/tierOverrides.ts';
import { readConfig } from '../../lib/config.ts';

const base = mkdtempSync(path.join(os.tmpdir(), 'xim-wish-'));
after(() => rmSync(base, { recursive: true }));

test('a model whose name says nothing, or whose source the agent cannot read', () => {
  const file = path.join(base, 'Tiny.Q4_1.gguf');
  writeFileSync(file, '');
  const cases: [string, string, string][] = [
    [file, 'Tiny.Q4_1', `file:${file}`],
    [path.relative('.', file), 'Tiny.Q4_1', `file:${file}`],
    ['hf:owner/repo', 'repo', 'hf:owner/repo'],
    ['hf:owner/repo:dir/x.gguf', 'x', 'hf:owner/repo:dir/x.gguf'],
    ['https://h/p/y.gguf?download=1', 'y', 'https://h/p/y.gguf?download=1'],
  ];
  for (const [given, name, source] of cases) {
    const wish = modelWishOf(given);
    assert.deepEqual([wish.name, wish.source], [name, source], given);
  }
  assert.equal(engineModelWish('llama3:8b').source, 'engine:llama3:8b');
});

test('a model that is not there, found out by the agent', () => {
  for (const given of ['nowhere.gguf', base, 'hf:no-owner', 'http://plain/x.gguf']) {
    const refused = (error: unknown): boolean =>
      error instanceof StartupError && error.kind === 'usage' && /--model/.test(error.message);
    assert.throws(() => modelWishOf(given), refused, given);
  }
});

function configOf(args: string[]): ServeConfig {
  const outcome = readConfig(serveTable, { args, env: {} });
  assert.ok(outcome.kind === 'ok', JSON.stringify(outcome));
  return outcome.config;
}

test('settings that exclude each other, or need another one', () => {
  const cases: [string[], RegExp | undefined][] = [
    [[], undefined],
    [['--behind-proxy'], /needs --public-url/],
    [['--behind-proxy', '--public-url', 'https://x'], undefined],
    [['--tls-cert', 'a'], /belong together/],
    [['--engine', 'embedded', '--engine-url', 'http://x'], /exclude each other/],
    [['--database-url', 'mysql://x'], /postgres:\/\//],
    [['--engine-url', 'unix:/run/engine.sock'], undefined],
  ];
  for (const [args, expected] of cases) {
    const [problem] = serveConfigProblems(configOf(args));
    if (expected === undefined) assert.equal(problem, undefined, args.join(' '));
    else assert.match(problem ?? '', expected);
  }
});

test('a figure of a tier that is lost, invented or impossible', () => {
  const outcome = tiersFrom({ self_hosted: { concurrentPerProject: 400 } });
  assert.ok(outcome.kind === 'ok');
  assert.equal(outcome.tiers.self_hosted.concurrentPerProject, 400);
  assert.equal(outcome.tiers.self_hosted.requestTimeoutMs, 1_800_000);
  assert.equal(outcome.tiers.free.concurrentPerProject, 5);
  for (const wrong of [
    { gold: {} },
    { free: { speed: 1 } },
    { free: { requestsPerMinute: 0 } },
    { free: 3 },
  ]) {
    const refused = tiersFrom(wrong);
    assert.ok(refused.kind === 'invalid', JSON.stringify(wrong));
    assert.match(refused.problem, /^--tiers: (gold|free)?/);
  }
});
