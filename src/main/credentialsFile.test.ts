import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { Credentials } from '../cli/serverContext.ts';
import { credentialsFile } from './credentialsFile.ts';

const base = mkdtempSync(path.join(os.tmpdir(), 'xim-credentials-'));
after(() => rmSync(base, { recursive: true }));

const credentials: Credentials = {
  version: 1,
  server: 'http://127.0.0.1:8080',
  pin: null,
  project: 'default',
  endpoint: 'default',
  base_url: 'http://127.0.0.1:8080/default/default/v1',
  dashboard_url: 'http://127.0.0.1:8080/ui/',
  api_key: 'xim_default_a',
  management_key: 'xim_default_m',
  admin: { email: 'admin@localhost', password: 'once' },
};

test('keys that a crash before or after the commit loses (K1)', () => {
  const file = credentialsFile(base);
  file.keepPending(credentials);
  assert.equal(file.read(), undefined);
  assert.deepEqual(credentialsFile(base).readPending(), credentials);
  assert.equal(statSync(`${file.path}.pending`).mode & 0o777, 0o600);
  file.adoptPending();
  assert.deepEqual(credentialsFile(base).read(), credentials);
  assert.equal(file.readPending(), undefined);
  assert.equal(statSync(file.path).mode & 0o777, 0o600);
});

test('a file that is written again although nothing changed, or not when something did', () => {
  const file = credentialsFile(base);
  const before = statSync(file.path).ino;
  file.update(credentials);
  assert.equal(statSync(file.path).ino, before);
  const shown = { ...credentials, admin: { email: 'admin@localhost' } };
  file.update(shown);
  assert.deepEqual(file.read(), shown);
});

test('keys of a database that is gone, thrown away or believed', () => {
  const file = credentialsFile(base);
  file.setAside();
  assert.equal(file.read(), undefined);
  assert.ok(existsSync(`${file.path}.old`));
  file.setAside();
  writeFileSync(file.path, '{"version":');
  assert.equal(file.read(), undefined);
});
