/** The model cache on a real disk that fills up, and in directories that are not its own. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { TestContext } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom, systemRandom } from '../../lib/random.ts';
import { startFakeHub } from '../../testing/engines/fakeHub.ts';
import { mountSmallDisk } from '../../testing/database/smallDisk.ts';
import { openModelCache } from './modelCache.ts';
import type { ModelCache, ModelCacheOptions } from './modelCache.ts';

const base = mkdtempSync(path.join(os.tmpdir(), 'xim-cache-disk-'));
after(() => rmSync(base, { recursive: true }));

const mib = 1024 * 1024;
const bytes = Buffer.concat([Buffer.from('GGUF'), seededRandom(1).bytes(4 * mib - 4)]);
const model = {
  modelId: 'mdl_1',
  name: 'tiny',
  source: 'hf:acme/tiny:tiny.gguf',
  format: 'gguf',
  task: 'generate',
  sizeBytes: null,
  sha256: null,
  contextLength: null,
} as const;

function openAt(dir: string, options: Partial<ModelCacheOptions> = {}) {
  return openModelCache({
    dir,
    hubUrl: 'https://hub.invalid',
    allowedPaths: [],
    allowPrivateAddresses: false,
    python: null,
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    ...options,
  });
}

async function cacheAt(
  t: TestContext,
  dir: string,
  options: Partial<ModelCacheOptions>,
): Promise<ModelCache> {
  const opened = await openAt(dir, options);
  assert.ok(opened.kind === 'open', JSON.stringify(opened));
  t.after(() => opened.cache.close());
  return opened.cache;
}

const wait = { progress: (): void => {}, signal: new AbortController().signal };

test('a disk that fills up during a download: its part stays, or it is the end', async (t) => {
  const dir = path.join(base, 'small');
  const disk = mountSmallDisk(dir, { bytes: 8 * mib });
  if (disk.kind === 'missing') return t.skip(disk.reason);
  t.after(() => disk.remove());
  const hub = await startFakeHub([{ repo: 'acme/tiny', file: 'tiny.gguf', bytes }]);
  t.after(() => hub.close());
  let full = true;
  const cache = await cacheAt(t, path.join(dir, 'models'), {
    hubUrl: hub.url,
    // The room was there when the fetch announced itself; somebody else takes it now.
    openFile: (file, flags, mode) => {
      if (full) disk.fill({ leaveBytes: 2 * mib });
      return open(file, flags, mode);
    },
  });
  const failed = await cache.ensure(model, wait);
  assert.ok(failed.kind === 'failed', JSON.stringify(failed));
  assert.match(failed.tried.at(-1) ?? '', /could not be written: the disk is full \(ENOSPC\)/);
  assert.ok(failed.retry, 'room may be made');
  const [partial = ''] = readdirSync(path.join(dir, 'models', 'partial'));
  assert.ok(!readdirSync(path.join(dir, 'models', 'partial', partial)).includes('part'));
  assert.ok(hub.sentBytes > mib, 'it had begun');

  disk.fill({ leaveBytes: 0 });
  const before = await cache.ensure(model, wait);
  assert.ok(before.kind === 'failed');
  assert.match(
    before.tried.at(-1) ?? '',
    /4\.2 MB on the disk of the model cache; 0\.0 MB are free/,
  );

  full = false;
  disk.makeRoom();
  const ready = await cache.ensure(model, wait);
  assert.ok(ready.kind === 'ready', JSON.stringify(ready));
  assert.deepEqual(readFileSync(ready.path), bytes);
});

test('a directory with other things is taken for a cache and closed to others', async () => {
  const shared = path.join(base, 'shared');
  mkdirSync(shared);
  chmodSync(shared, 0o755);
  writeFileSync(path.join(shared, 'theirs'), '');
  const refused = await openAt(shared);
  assert.ok(refused.kind === 'failed' && refused.reason === 'forbidden');
  assert.match(refused.message, /holds other things.*--model-cache/);
  assert.equal(statSync(shared).mode & 0o777, 0o755);
  assert.deepEqual(readdirSync(shared), ['theirs']);
  const nowhere = await openAt('/proc/models');
  assert.ok(nowhere.kind === 'failed');
  assert.match(nowhere.message, /nothing can be made there\. Give another with --model-cache/);
});

test('a cache that was opened to others since is refused, or stays open', async (t) => {
  const dir = path.join(base, 'opened');
  await cacheAt(t, dir, {});
  chmodSync(dir, 0o755);
  await cacheAt(t, dir, {});
  assert.equal(statSync(dir).mode & 0o777, 0o700);
});
