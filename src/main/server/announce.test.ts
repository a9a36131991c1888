import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertGolden } from '../../testing/golden.ts';
import { announceJson, announceText } from './announce.ts';
import type { Announcement } from './announce.ts';

const ready: Announcement = {
  credentials: {
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
  },
  keysLost: null,
  project: 'default',
  endpoint: 'default',
  baseUrl: 'http://127.0.0.1:8080/default/default/v1',
  dashboardUrl: 'http://127.0.0.1:8080/ui/',
  admin: { email: 'admin@localhost', password: 'once' },
  model: 'SmolLM2-135M-Instruct',
  modelError: null,
  joinHint: 'bin/xim join-keys create',
  pin: null,
  pid: 42,
};

test('a line of JSON with other members, in another order, or on two lines', () => {
  assert.equal(
    announceJson(ready),
    '{"ready":true,"base_url":"http://127.0.0.1:8080/default/default/v1",' +
      '"api_key":"xim_default_a","project":"default","endpoint":"default",' +
      '"dashboard_url":"http://127.0.0.1:8080/ui/",' +
      '"admin":{"email":"admin@localhost","password":"once"},' +
      '"model":"SmolLM2-135M-Instruct","model_error":null,"pid":42}\n',
  );
  const failed = announceJson({ ...ready, model: null, modelError: 'tried\nall' });
  assert.equal(failed.split('\n').length, 2);
  assert.ok(!announceText(ready).includes('management') && !failed.includes('xim_default_m'));
});

test('a first screen that does not say how to begin', () => {
  assertGolden('serve/ready.txt', announceText(ready));
  const pin = `sha256//${'A'.repeat(43)}=`;
  const admin = { email: 'admin@localhost', password: null };
  assertGolden('serve/ready-pinned.txt', announceText({ ...ready, pin, admin }));
});

test('a start without a model, or without its credentials, that hides it', () => {
  const modelError =
    'The model could not be fetched. Tried:\n  hf:…: no route\nGo on with: --model FILE';
  const lost = { credentials: undefined, keysLost: '/data/credentials.json is gone.' };
  const text = announceText({ ...ready, ...lost, model: null, modelError });
  assertGolden('serve/no-model.txt', text);
});
