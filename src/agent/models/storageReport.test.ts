import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom, systemRandom } from '../../lib/random.ts';
import type { StorageReport } from '../../protocol/messages/agentControl.ts';
import { startFakeHub } from '../../testing/engines/fakeHub.ts';
import { openModelCache } from './modelCache.ts';

const sizes = { a: 100_000, b: 60_000, c: 40_000 };

test('a limit below what is held evicts what is in use, or hides what is over', async (context) => {
  const dir = await mkdtemp(path.join(tmpdir(), 'xim-models-'));
  const files = Object.entries(sizes).map(([name, size], at) => {
    const bytes = Buffer.concat([Buffer.from('GGUF'), seededRandom(at).bytes(size - 4)]);
    return { repo: 'acme/many', file: `${name}.gguf`, bytes };
  });
  const hub = await startFakeHub(files);
  const opened = await openModelCache({
    dir,
    hubUrl: hub.url,
    allowedPaths: [],
    allowPrivateAddresses: false,
    python: null,
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
  });
  assert.ok(opened.kind === 'open');
  const { cache } = opened;
  context.after(async () => {
    await cache.close();
    await hub.close();
    await rm(dir, { recursive: true, force: true });
  });
  const told = (limit: number): Promise<StorageReport | undefined> =>
    new Promise((resolve) => {
      cache.onStorageChange = () => {
        if (cache.storage()?.configuredLimitBytes === limit) resolve(cache.storage());
      };
    });
  for (const name of ['a', 'b', 'c']) {
    const source = `hf:acme/many:${name}.gguf`;
    const outcome = await cache.ensure(
      {
        modelId: name,
        name,
        source,
        format: 'gguf',
        task: 'generate',
        sizeBytes: null,
        sha256: null,
        contextLength: null,
      },
      { progress: () => {}, signal: new AbortController().signal },
    );
    assert.equal(outcome.kind, 'ready');
  }
  cache.setInUse(['a', 'b', 'c']);
  cache.setInUse(['a']);
  const roomy = told(160_000);
  cache.setStorageLimit({ configuredBytes: 160_000, ownBytes: null });
  assert.deepEqual(await roomy, {
    configuredLimitBytes: 160_000,
    limitBytes: 160_000,
    usedBytes: 140_000,
    evictedBytes: 60_000,
    overBytes: 0,
    inUse: [{ modelId: 'a', bytes: 100_000 }],
  });
  const tight = told(90_000);
  cache.setStorageLimit({ configuredBytes: 90_000, ownBytes: 500_000 });
  assert.deepEqual(await tight, {
    configuredLimitBytes: 90_000,
    limitBytes: 90_000,
    usedBytes: 100_000,
    evictedBytes: 40_000,
    overBytes: 10_000,
    inUse: [{ modelId: 'a', bytes: 100_000 }],
  });
  // Once it is not in use any more it goes, without another word of the server.
  const idle = new Promise<void>((resolve) => {
    cache.onStorageChange = () => {
      if (cache.storage()?.usedBytes === 0) resolve();
    };
  });
  cache.setInUse([]);
  await idle;
  assert.equal(cache.storage()?.overBytes, 0);
});
