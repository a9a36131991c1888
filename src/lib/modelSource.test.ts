import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseModelSource } from './modelSource.ts';

test('a source that is longer than a link carries', () => {
  assert.equal(parseModelSource(`file:/${'d/'.repeat(2000)}m.gguf`).kind, 'invalid');
});

test('a source is read as something else than it says', () => {
  const hub = { kind: 'hub', repo: 'a/b' };
  assert.deepEqual(parseModelSource('hf:a/b'), { ...hub, file: undefined });
  assert.deepEqual(parseModelSource('hf:a/b:sub/c.gguf'), { ...hub, file: 'sub/c.gguf' });
  assert.deepEqual(parseModelSource('file:/m/a.gguf'), { kind: 'file', path: '/m/a.gguf' });
  assert.deepEqual(parseModelSource('file:///m/a%20b.gguf'), { kind: 'file', path: '/m/a b.gguf' });
  const url = parseModelSource('https://example.org/a.gguf');
  assert.equal(url.kind === 'url' && url.url.href, 'https://example.org/a.gguf');
});

test('a source that leads elsewhere or nowhere is accepted', () => {
  const wrong = [
    'hf:',
    'hf:a',
    'hf:a/b/c',
    'hf:../b',
    'hf:a/b:',
    'hf:a/b:../c',
    'hf:a/b:c/../d',
    'http://example.org/a',
    'https:',
    'https://u:p@example.org/a',
    'ftp://x/y',
    '/m/a.gguf',
    'file:a.gguf',
    'file://host/m/a.gguf',
    'file:',
    'file:///m/a%2Fb.gguf',
    'https://example.org/a\nb.gguf',
    'hf:a/b:c\u0000.gguf',
  ];
  for (const source of wrong) assert.equal(parseModelSource(source).kind, 'invalid', source);
});

test('a model of an attached engine, without the engine, is refused in words of ours', () => {
  const source = parseModelSource('engine:llama3');
  assert.ok(source.kind === 'invalid');
  assert.match(source.message, /"llama3" is one of an engine .*--engine-url URL/);
});
