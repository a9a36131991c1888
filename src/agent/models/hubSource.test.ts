import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { sha256Hex } from '../../lib/crypto/hashing.ts';
import { startFakeHub, type FakeHub } from '../../testing/engines/fakeHub.ts';
import { createGuardedHttp, type GuardedHttp } from './guardedHttp.ts';
import { findHubFile } from './hubSource.ts';

const bytes = Buffer.from('GGUF and so on');
const signal = new AbortController().signal;

async function hubAndHttp(context: TestContext): Promise<{ hub: FakeHub; http: GuardedHttp }> {
  const hub = await startFakeHub([
    { repo: 'acme/tiny', file: 'sub folder/tiny.gguf', bytes },
    { repo: 'acme/plain', file: 'small.gguf', bytes, sha256: 'a0b1' },
  ]);
  const http = createGuardedHttp({ trustedOrigins: [hub.url], allowPrivateAddresses: false });
  context.after(async () => {
    await http.close();
    await hub.close();
  });
  return { hub, http };
}

test('the digest of the storage behind the hub is taken for the file’s', async (context) => {
  const { hub, http } = await hubAndHttp(context);
  const query = { hubUrl: hub.url, repo: 'acme/tiny', file: 'sub folder/tiny.gguf', http, signal };
  for (const xet of [false, true]) {
    hub.faults = { xet };
    const found = await findHubFile(query);
    assert.equal(found.kind, 'found', JSON.stringify(found));
    if (found.kind !== 'found') return;
    assert.equal(found.sha256, sha256Hex(bytes));
    assert.equal(found.sizeBytes, bytes.length);
    // The bytes are asked for at the hub, which redirects to where they lie at that moment.
    assert.equal(found.url.href, `${hub.url}/acme/tiny/resolve/main/sub%20folder/tiny.gguf`);
  }
});

test('a file that is not there, or has no SHA-256, is fetched', async (context) => {
  const { hub, http } = await hubAndHttp(context);
  const ask = async (repo: string, file: string): Promise<string> => {
    const found = await findHubFile({ hubUrl: hub.url, repo, file, http, signal });
    return found.kind === 'failed' ? found.reason : found.kind;
  };
  assert.equal(await ask('acme/tiny', 'other.gguf'), 'not_found');
  assert.equal(await ask('acme/none', 'tiny.gguf'), 'not_found');
  assert.equal(await ask('acme/plain', 'small.gguf'), 'bad_answer');
});

test('an answer that is no hub’s ends the agent', async (context) => {
  const { hub, http } = await hubAndHttp(context);
  const query = { hubUrl: `${hub.url}/bytes/0?`, repo: 'acme/tiny', file: undefined, http, signal };
  const found = await findHubFile(query);
  assert.equal(found.kind === 'failed' && found.reason, 'bad_answer');
});
