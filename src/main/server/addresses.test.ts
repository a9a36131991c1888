import assert from 'node:assert/strict';
import { test } from 'node:test';
import { localUrlOf, publicUrlOf, speaksTls } from './addresses.ts';

const plain = {
  host: '127.0.0.1',
  publicUrl: undefined,
  behindProxy: false,
  tlsCert: undefined,
};

test('plain HTTP beyond loopback, or TLS where nobody asked for it', () => {
  for (const host of ['127.0.0.1', '127.8.8.8', '::1', 'localhost']) {
    assert.equal(speaksTls({ ...plain, host }), false, host);
  }
  for (const host of ['0.0.0.0', '::', '10.1.2.3', 'fd00::1', 'box.example']) {
    assert.equal(speaksTls({ ...plain, host }), true, host);
    assert.equal(speaksTls({ ...plain, host, behindProxy: true }), false, host);
  }
  assert.equal(speaksTls({ ...plain, tlsCert: 'x' }), true);
});

test('an address that others cannot use', () => {
  assert.equal(publicUrlOf(plain, 8080), 'http://127.0.0.1:8080');
  assert.equal(publicUrlOf({ ...plain, host: 'fd00::1' }, 443), 'https://[fd00::1]');
  assert.doesNotMatch(publicUrlOf({ ...plain, host: '0.0.0.0' }, 8443), /0\.0\.0\.0|127\./);
  const named = { ...plain, publicUrl: 'https://xim.example/' };
  assert.equal(publicUrlOf(named, 8080), 'https://xim.example');
});

test('a shared agent that is sent round by the outside', () => {
  assert.equal(localUrlOf({ ...plain, host: '0.0.0.0' }, 8443), 'https://127.0.0.1:8443');
  assert.equal(localUrlOf({ ...plain, host: '::' }, 8443), 'https://[::1]:8443');
  const proxied = { ...plain, behindProxy: true, publicUrl: 'https://xim.example' };
  assert.equal(localUrlOf({ ...proxied, host: '0.0.0.0' }, 8080), 'http://127.0.0.1:8080');
  assert.equal(localUrlOf({ ...proxied, host: '10.1.2.3' }, 8080), 'https://xim.example');
});
