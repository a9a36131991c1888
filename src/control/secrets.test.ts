import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { privateKeyPem } from '../lib/crypto/ed25519.ts';
import { silentLogger } from '../lib/log.ts';
import { systemRandom } from '../lib/random.ts';
import { openStore } from '../store/openStore.ts';
import type { Store } from '../store/store.ts';
import { FakeClock } from '../testing/fakeClock.ts';
import { KeyFileError } from './keyFile.ts';
import { openSecrets, seal, unseal } from './secrets.ts';

const [log, random] = [silentLogger, systemRandom];
let directory: string;
let store: Store;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'xim-secrets-'));
  store = await openStore({ url: path.join(directory, 'db'), log, random, clock: new FakeClock() });
});
afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true, force: true });
});

type Settings = Pick<Store, 'setting' | 'settingOrInsert'>;

const open = (name = 'secrets.key', rotateSigningKey = false, settings: Settings = store) =>
  openSecrets({
    file: path.join(directory, name),
    store: settings,
    random,
    log,
    rotateSigningKey,
  });

/** The settings as servers see them that have all read before one of them writes. */
function readBeforeWriting(servers: number): Settings {
  let arrived = 0;
  const all = Promise.withResolvers<void>();
  return {
    setting: (name) => store.setting(name),
    async settingOrInsert(name, value) {
      arrived += 1;
      if (arrived === servers) all.resolve();
      await all.promise;
      return store.settingOrInsert(name, value);
    },
  };
}

test('a restart voids every token, or two starts at once sign with two keys', async () => {
  const [first, second] = await Promise.all([open(), open()]);
  const third = await open();
  for (const other of [second, third]) {
    assert.deepEqual(other.rotationKey, first.rotationKey);
    assert.equal(other.signingKey.publicKey, first.signingKey.publicKey);
    assert.equal(other.signingKey.keyId, first.signingKey.keyId);
  }
  const { keyId, publicKey } = first.signingKey;
  assert.deepEqual(await first.verificationKeys(), [{ keyId, x: publicKey }]);
});

test('a rotation voids the tokens that are out, or a stolen key signs for ever', async () => {
  const first = await open();
  const ids = async (): Promise<string[]> =>
    (await first.verificationKeys()).map(({ keyId }) => keyId);
  const together = readBeforeWriting(2);
  const [second, twin] = await Promise.all([
    open('secrets.key', true, together),
    open('secrets.key', true, together),
  ]);
  assert.equal(second.signingKey.keyId, twin.signingKey.keyId, 'two servers rotate once');
  assert.notEqual(second.signingKey.keyId, first.signingKey.keyId);
  // Also a server that runs on believes both.
  assert.deepEqual(await ids(), [second.signingKey.keyId, first.signingKey.keyId]);
  assert.equal((await open()).signingKey.keyId, second.signingKey.keyId);
  const third = await open('secrets.key', true);
  assert.deepEqual(await ids(), [third.signingKey.keyId, second.signingKey.keyId]);
});

test('a copy of the database is enough to sign tokens', async () => {
  const { signingKey, rotationKey } = await open();
  const stored = (await store.setting('access_token_signing_key')) ?? '';
  const pem = privateKeyPem(signingKey.privateKey);
  assert.ok(stored.length > 50 && !stored.includes('PRIVATE'));
  const [, encoded = ''] = stored.split('.');
  assert.ok(!Buffer.from(encoded, 'base64url').includes(pem.split('\n')[1] ?? ''));
  const file = await readFile(path.join(directory, 'secrets.key'), 'utf8');
  assert.notDeepEqual(Buffer.from(file, 'base64'), rotationKey, 'one key, one purpose');
});

test('a key file that is missing or of another database gives garbage', async () => {
  await open();
  const kindIs = (kind: string) => (error: unknown) =>
    error instanceof KeyFileError && error.kind === kind;
  await assert.rejects(open('other.key'), kindIs('missing'));
  const elsewhere = await mkdtemp(path.join(tmpdir(), 'xim-secrets-'));
  const otherPath = path.join(elsewhere, 'db');
  const otherStore = await openStore({ url: otherPath, log, random, clock: new FakeClock() });
  const file = path.join(directory, 'other.key');
  await openSecrets({ file, store: otherStore, random, log });
  await otherStore.close();
  await rm(elsewhere, { recursive: true, force: true });
  await assert.rejects(open('other.key'), kindIs('wrong_key'));
});

test('sealed text opens under another name, another key, or after a change', () => {
  const key = random.bytes(32);
  const sealed = seal({ key, name: 'a', text: 'secret ü', random });
  assert.equal(unseal({ key, name: 'a', sealed }), 'secret ü');
  assert.notEqual(seal({ key, name: 'a', text: 'secret ü', random }), sealed);
  const body = Buffer.from(sealed.slice(2), 'base64url');
  for (let index = 0; index < body.length; index += 1) {
    const altered = Buffer.from(body);
    altered[index] = (altered[index] ?? 0) ^ 1;
    const text = `1.${altered.toString('base64url')}`;
    assert.equal(unseal({ key, name: 'a', sealed: text }), undefined);
  }
  assert.equal(unseal({ key, name: 'b', sealed }), undefined);
  assert.equal(unseal({ key: random.bytes(32), name: 'a', sealed }), undefined);
  for (const text of ['', '1.', '2.abc', 'plain', sealed.slice(0, 20)]) {
    assert.equal(unseal({ key, name: 'a', sealed: text }), undefined);
  }
});
