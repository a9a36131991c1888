import assert from 'node:assert/strict';
import { test } from 'node:test';
import { routes } from './routes.ts';

test('two rows for one method and path', () => {
  const seen = routes.map(({ method, path }) => `${method} ${path}`);
  assert.equal(new Set(seen).size, seen.length);
});

test('a row that anybody may call, by mistake', () => {
  const open = routes.filter(({ access, method }) => access.by === 'anyone' && method !== 'HEAD');
  const named = open.filter(({ plane }) => plane !== 'data').map(({ path }) => path);
  assert.deepEqual(named, [
    '/v1/enroll/nonce',
    '/api/v1/openapi.json',
    '/api/v1/sign-in/options',
    '/api/v1/sign-in',
    '/api/v1/sign-up',
    '/api/v1/sign-up/terms',
    '/api/v1/oidc/start',
    '/api/v1/oidc/callback',
    '/',
    '/ui',
    '/ui/{rest*}',
    '/install.sh',
    '/install/xim.tgz',
    '/healthz',
    '/readyz',
  ]);
  const data = open.filter(({ plane }) => plane === 'data');
  assert.ok(data.every(({ method }) => method === 'OPTIONS'));
});

test('a data address without its preflight', () => {
  const paths = routes.filter(({ plane }) => plane === 'data');
  for (const { path } of paths) {
    assert.ok(
      paths.some((row) => row.path === path && row.method === 'OPTIONS'),
      path,
    );
  }
});

test('a control route that a browser of another site could change something with', () => {
  const reading = routes.filter(({ plane, method }) => plane === 'control' && method === 'GET');
  assert.ok(
    reading.every(({ handler }) => !/^(create|revoke|suspend|resume|remove)/.test(handler)),
  );
});
