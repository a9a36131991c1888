import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { readConfig } from '../../lib/config.ts';
import { oidcConfigOf, peopleConfigProblems, peopleTable } from './peopleConfig.ts';

function read(args: string[], env: Record<string, string> = {}) {
  return readConfig(peopleTable, { args, env });
}

function configOf(args: string[], env: Record<string, string> = {}) {
  const outcome = read(args, env);
  assert.ok(outcome.kind === 'ok', JSON.stringify(outcome));
  return outcome.config;
}

const lab = ['--oidc-issuer', 'https://login.example.org/realms/lab', '--oidc-client-id', 'xim'];

test('a provider is spoken to in the clear beyond loopback', () => {
  const refused = ['http://login.example.org', 'https://x.example/?a=b', 'ftp://x', 'x', ''];
  for (const issuer of refused) {
    assert.equal(read(['--oidc-issuer', issuer]).kind, 'invalid', issuer);
  }
  for (const issuer of ['http://127.0.0.1:8080', 'http://localhost/x', 'http://[::1]:1']) {
    assert.equal(read(['--oidc-issuer', issuer]).kind, 'ok', issuer);
  }
});

test('half of a provider is taken for one, or two secrets for one', () => {
  const problems = (args: string[], env: Record<string, string> = {}): number =>
    peopleConfigProblems(configOf(args, env)).length;
  assert.equal(problems([]), 0);
  assert.equal(problems(lab), 0);
  assert.equal(problems(lab.slice(0, 2)), 1);
  assert.equal(problems(lab.slice(2)), 1);
  assert.equal(problems(['--oidc-create-users']), 1);
  const both = [...lab, '--oidc-client-secret-file', 'x'];
  assert.equal(problems(both, { XIM_OIDC_CLIENT_SECRET: 'y' }), 1);
});

test('a setting of the provider is lost, or its secret is read with its line’s end', () => {
  assert.equal(oidcConfigOf(configOf([])), undefined);
  const directory = mkdtempSync(path.join(tmpdir(), 'xim-oidc-'));
  try {
    const file = path.join(directory, 'secret');
    writeFileSync(file, 'from the file\n');
    const more = ['--oidc-client-secret-file', file, '--oidc-allowed-domains', 'Example.org,b.c'];
    assert.deepEqual(oidcConfigOf(configOf([...lab, ...more, '--oidc-create-users'])), {
      issuer: 'https://login.example.org/realms/lab',
      clientId: 'xim',
      clientSecret: 'from the file',
      name: 'login.example.org',
      allowedDomains: ['example.org', 'b.c'],
      createUsers: true,
    });
    writeFileSync(file, '');
    assert.throws(() => oidcConfigOf(configOf([...lab, ...more])), { kind: 'usage' });
    const missing = [...lab, '--oidc-client-secret-file', path.join(directory, 'none')];
    assert.throws(() => oidcConfigOf(configOf(missing)), { kind: 'usage', message: /ENOENT/ });
  } finally {
    rmSync(directory, { recursive: true });
  }
  const plain = oidcConfigOf(
    configOf([...lab, '--oidc-name', 'Lab'], { XIM_OIDC_CLIENT_SECRET: 's' }),
  );
  assert.deepEqual([plain?.clientSecret, plain?.name, plain?.createUsers], ['s', 'Lab', false]);
  assert.equal(oidcConfigOf(configOf(lab))?.clientSecret, null, 'a public client');
});
