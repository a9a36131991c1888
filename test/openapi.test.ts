/** `docs/openapi.json` against what the server is made of. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openApiDocument } from '../src/api/openapi/openApiDocument.ts';
import { routes } from '../src/api/routes.ts';

const file = path.join(import.meta.dirname, '..', 'docs', 'openapi.json');

interface Operation {
  operationId: string;
  parameters?: { name: string; in: string }[];
  responses: Record<string, unknown>;
}
const document = openApiDocument() as { paths: Record<string, Record<string, Operation>> };

test('docs/openapi.json says something else than the server does', () => {
  const written = JSON.parse(readFileSync(file, 'utf8')) as unknown;
  assert.deepEqual(written, JSON.parse(JSON.stringify(document)), 'run npm run openapi');
});

test('a row of the route table is missing in openapi.json, or one is made up', () => {
  const shown = Object.entries(document.paths).flatMap(([address, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${address}`),
  );
  const rows = routes
    .filter(({ method }) => method !== 'OPTIONS' && method !== 'HEAD')
    .map((row) => `${row.method} ${row.path.replace('*}', '}')}`);
  assert.deepEqual(shown.toSorted(), rows.toSorted());
});

test('two operations have one name, or one has no good answer', () => {
  const operations = Object.values(document.paths).flatMap((each) => Object.values(each));
  const names = operations.map(({ operationId }) => operationId);
  assert.equal(new Set(names).size, names.length);
  for (const { operationId, responses } of operations) {
    assert.ok(
      Object.keys(responses).some((status) => Number(status) < 400),
      operationId,
    );
  }
});

test('a reference that leads nowhere', () => {
  const text = JSON.stringify(document);
  const { components } = document as unknown as { components: Record<string, object> };
  const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => to ?? '');
  assert.ok(references.length > 20);
  for (const to of references) {
    const [kind = '', name = ''] = to.replace('#/components/', '').split('/');
    assert.ok(Object.hasOwn(components[kind] ?? {}, name), to);
  }
});
