import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { systemRandom } from '../../lib/random.ts';
import { keepEngine, keptEngineFile, withKeptEngine } from './keptEngine.ts';

const bare = {
  engine: undefined,
  engineUrl: undefined,
  engineKey: undefined,
  serve: [] as string[],
  slots: 0,
};
const flags = {
  ...bare,
  engineUrl: 'http://127.0.0.1:8000',
  engineKey: 'secret',
  serve: ['own=x'],
  slots: 3,
};

test('a restart without its flags gives an agent another engine', async (t) => {
  const stateDir = mkdtempSync(path.join(tmpdir(), 'xim-kept-'));
  t.after(() => rmSync(stateDir, { recursive: true }));
  const parts = { stateDir, random: systemRandom };
  assert.deepEqual(await withKeptEngine(bare, stateDir), bare);
  await keepEngine(flags, parts);
  const file = path.join(stateDir, keptEngineFile);
  assert.equal(statSync(file).mode & 0o777, 0o600, 'it holds a key');
  assert.deepEqual(await withKeptEngine(bare, stateDir), flags);
  const moved = { ...bare, engineUrl: 'http://127.0.0.1:9000' };
  assert.deepEqual(await withKeptEngine(moved, stateDir), moved, 'another engine has no key yet');
  const own = { ...bare, engine: 'embedded' as const };
  assert.deepEqual(await withKeptEngine(own, stateDir), own);
  assert.equal((await withKeptEngine({ ...bare, slots: 1 }, stateDir)).slots, 1);
  await keepEngine(own, parts);
  assert.deepEqual(await withKeptEngine(bare, stateDir), bare, 'its own is kept, too');
});

test('a damaged file of the engine keeps an agent from starting', async (t) => {
  const stateDir = mkdtempSync(path.join(tmpdir(), 'xim-kept-'));
  t.after(() => rmSync(stateDir, { recursive: true }));
  for (const text of ['', '{', '{"engineUrl":"ftp://x"}', '[]']) {
    writeFileSync(path.join(stateDir, keptEngineFile), text);
    assert.deepEqual(await withKeptEngine(bare, stateDir), bare, text);
  }
});
