import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { routes } from '../../api/routes.ts';
import { createRouteMatcher } from './routeMatcher.ts';

const matcher = createRouteMatcher(routes);

function found(method: string, path: string): [string, Record<string, string>] | string {
  const match = matcher.match(method, path);
  return match.kind === 'found' ? [match.route.path, { ...match.params }] : match.kind;
}

test('an address that leads to another row', () => {
  assert.deepEqual(found('GET', '/v1/models'), ['/v1/models', {}]);
  assert.deepEqual(found('GET', '/a/v1/models'), ['/{project}/v1/models', { project: 'a' }]);
  assert.deepEqual(found('GET', '/a/b/v1/models/c'), [
    '/{project}/{endpoint}/v1/models/{model}',
    { project: 'a', endpoint: 'b', model: 'c' },
  ]);
  assert.deepEqual(found('GET', '/ui/x/y'), ['/ui/{rest*}', { rest: 'x/y' }]);
  assert.deepEqual(found('GET', '/ui/'), ['/ui/{rest*}', { rest: '' }]);
  assert.equal(found('POST', '/a/v1/chat/completions'), 'unknown');
  assert.equal(found('GET', '/v1/v1/models'), 'unknown');
  assert.equal(found('GET', '/v1/models/'), 'unknown');
  assert.equal(found('GET', '//v1/models'), 'unknown');
  assert.equal(found('GET', '/v1//models'), 'unknown');
  assert.equal(found('PUT', '/v1/models'), 'wrong_method');
});

test('a part of the address that is read otherwise than it was written', () => {
  assert.deepEqual(found('GET', '/a%20b/v1/models'), ['/{project}/v1/models', { project: 'a b' }]);
  assert.deepEqual(found('GET', '/%761/v1/models'), ['/{project}/v1/models', { project: 'v1' }]);
  for (const broken of ['%', '%f', '%ff', '%c3%28', '..', '.', '%2e%2E']) {
    assert.equal(found('GET', `/${broken}/v1/models`), 'malformed', broken);
  }
});

test('an address that is found without being spelled as a row', () => {
  const shapes = routes.map(
    ({ path }) =>
      new RegExp(
        `^${path
          .replaceAll('.', '\\.')
          .replace(/\{\w+\*\}/, '.*')
          .replaceAll(/\{\w+\}/g, '[^/]+')}$`,
        's',
      ),
  );
  const segment = fc.oneof(
    fc.constantFrom('v1', 'v1', 'chat', 'completions', 'models', 'api', 'ui', 'projects', ''),
    fc.string({ maxLength: 4 }).map((text) => encodeURIComponent(text)),
  );
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 7 }), (segments) => {
      const path = `/${segments.join('/')}`;
      if (matcher.match('GET', path).kind !== 'found') return;
      assert.ok(
        shapes.some((shape) => shape.test(path)),
        path,
      );
    }),
    { numRuns: 2000 },
  );
});
