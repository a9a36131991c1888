import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withMembers } from './jsonMembers.ts';

const changed = (text: string, changes: Record<string, string | undefined>): string | undefined =>
  withMembers(Buffer.from(text), changes)?.toString('utf8');

test('a member that is replaced is still there, or another one is lost', () => {
  const names = fc.constantFrom('model', 'stream', 'a', 'é"\\', 'messages', '{', ',');
  fc.assert(
    fc.property(
      fc.dictionary(names, fc.jsonValue({ maxDepth: 3 })),
      fc.dictionary(names, fc.option(fc.jsonValue(), { nil: undefined })),
      fc.constantFrom(0, 1, 2),
      (object, changes, indent) => {
        const text = JSON.stringify(object, null, indent);
        const texts = Object.fromEntries(
          Object.entries(changes).map(([name, value]) => [name, JSON.stringify(value)]),
        );
        const result = JSON.parse(changed(text, texts) ?? '') as object;
        const wanted = JSON.parse(JSON.stringify({ ...object, ...changes })) as object;
        assert.deepEqual(result, wanted);
      },
    ),
  );
});

test('bytes of a member that is not named change', () => {
  const text = ' { "model" : "a", "seed":12345678901234567890, "x" : "\\u00e4/\\/ä" } ';
  assert.equal(
    changed(text, { model: '"b"', stream: 'true' }),
    '{ "seed":12345678901234567890, "x" : "\\u00e4/\\/ä" ,"model":"b","stream":true}',
  );
  assert.equal(changed('{}', { model: '"b"' }), '{"model":"b"}');
  assert.equal(changed('{"model":1}', { model: undefined }), '{}');
});

test('a name in escapes hides a member', () => {
  assert.equal(changed('{"mod\\u0065l":"a","n":1}', { model: '"b"' }), '{"n":1,"model":"b"}');
});

test('a member that stands twice is passed on twice', () => {
  assert.equal(changed('{"n":1,"\\u006e":2}', { model: '"b"' }), undefined);
});
