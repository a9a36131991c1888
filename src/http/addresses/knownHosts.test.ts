import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKnownHosts } from './knownHosts.ts';

const loopback = createKnownHosts({
  publicUrl: 'http://127.0.0.1:8080',
  secure: false,
  bound: { address: '127.0.0.1', port: 8080 },
});
const proxied = createKnownHosts({
  publicUrl: 'https://xim.example/base/',
  secure: false,
  bound: { address: '127.0.0.1', port: 8080 },
});

test('a host that an agent was given and that is not tried', () => {
  assert.deepEqual(
    new Set(loopback.candidates('localhost:8080')),
    new Set(['localhost:8080', '127.0.0.1:8080', '[::1]:8080']),
  );
  assert.equal(loopback.candidates('LOCALHOST:8080')[0], 'localhost:8080');
  assert.equal(proxied.candidates('127.0.0.1:8080')[0], '127.0.0.1:8080');
  assert.ok(proxied.candidates(undefined).includes('xim.example'));
});

test('a foreign host that is believed because it stands in Host', () => {
  for (const header of ['evil.example', 'localhost:9', 'localhost', 'a b', '[', '']) {
    assert.ok(!loopback.candidates(header).includes(header), header);
  }
  assert.ok(!loopback.has('evil.example:8080'));
});

test('the origin of a foreign page', () => {
  for (const origin of ['http://localhost:8080', 'http://127.0.0.1:8080', 'http://[::1]:8080']) {
    assert.ok(loopback.isOwnOrigin(origin), origin);
  }
  const foreign = [
    'https://localhost:8080',
    'http://localhost',
    'http://localhost:8080.evil',
    'null',
  ];
  for (const origin of [...foreign, '', 'http://evil.example:8080', 'http://localhost:80800']) {
    assert.ok(!loopback.isOwnOrigin(origin), origin);
  }
  assert.ok(proxied.isOwnOrigin('https://xim.example'));
  assert.ok(!proxied.isOwnOrigin('http://xim.example'));
});

test('a base that loses the path behind which a proxy serves us', () => {
  assert.equal(proxied.publicBase(), 'https://xim.example/base');
  assert.equal(loopback.publicBase(), 'http://127.0.0.1:8080');
});

test('a machine bound to every address that knows only one', () => {
  const everywhere = createKnownHosts({
    publicUrl: 'https://192.0.2.1',
    secure: true,
    bound: { address: '0.0.0.0', port: 443 },
  });
  assert.ok(everywhere.has('127.0.0.1'));
  assert.ok(everywhere.has('localhost'));
  assert.ok(!everywhere.has('0.0.0.0'));
  assert.ok(everywhere.candidates(undefined).length >= 4);
});
