import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { Credentials } from '../../cli/serverContext.ts';
import { credentialsFile } from './credentialsFile.ts';
import { StartupError } from '../process/startupError.ts';

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
  assert.deepEqual(file.read(), { kind: 'none' });
  assert.deepEqual(credentialsFile(base).readPending(), { kind: 'ok', credentials });
  assert.equal(statSync(`${file.path}.pending`).mode & 0o777, 0o600);
  file.adoptPending();
  assert.deepEqual(credentialsFile(base).read(), { kind: 'ok', credentials });
  assert.deepEqual(file.readPending(), { kind: 'none' });
  assert.equal(statSync(file.path).mode & 0o777, 0o600);
});

test('a file that is written again although nothing changed, or not when something did', () => {
  const file = credentialsFile(base);
  const before = statSync(file.path).ino;
  file.update(credentials);
  assert.equal(statSync(file.path).ino, before);
  const shown = { ...credentials, admin: { email: 'admin@localhost' } };
  file.update(shown);
  assert.deepEqual(file.read(), { kind: 'ok', credentials: shown });
});

test('keys of a database that is gone, thrown away or believed', () => {
  const file = credentialsFile(base);
  assert.equal(file.setAside(), `${file.path}.old`);
  assert.deepEqual(file.read(), { kind: 'none' });
  assert.ok(existsSync(`${file.path}.old`));
  assert.equal(file.setAside(), undefined);
  writeFileSync(file.path, '{"version":');
  assert.deepEqual(file.read(), { kind: 'unusable', why: `${file.path} is damaged.` });
});

test('a file that cannot be written, told as a code with a stack', () => {
  const nowhere = credentialsFile(path.join(base, 'nowhere'));
  const writes = [
    () => nowhere.keepPending(credentials),
    () => nowhere.update(credentials),
    () => nowhere.adoptPending(),
  ];
  for (const write of writes) {
    assert.throws(write, (error) => {
      assert.ok(error instanceof StartupError && error.kind === 'data_directory');
      assert.match(error.message, /credentials\.json(\.pending)? cannot be written: /);
      return true;
    });
  }
});
