import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatOf, readModelSource, readModelWish, type ModelWish } from './modelFields.ts';

const sourceOf = (text: string): string | undefined => {
  const read = readModelSource(text);
  return read.ok ? read.source : undefined;
};

test('a source that leads to this machine or its networks is registered', () => {
  const closed = [
    'https://127.0.0.1/a.gguf',
    'https://2130706433/a.gguf',
    'https://0x7f.1/a.gguf',
    'https://10.0.0.5/a.gguf',
    'https://192.168.1.1:8443/a.gguf',
    'https://169.254.169.254/latest/meta-data',
    'https://[::1]/a.gguf',
    'https://[fd00::1]/a.gguf',
    'https://[::ffff:10.0.0.1]/a.gguf',
    'https://localhost/a.gguf',
    'https://LOCALHOST./a.gguf',
    'https://models.localhost/a.gguf',
  ];
  for (const source of closed) {
    const read = readModelSource(source);
    assert.ok(!read.ok && read.param === 'source', source);
    assert.match(read.message, /public addresses only/, source);
  }
});

test('a source of another kind, or with somebody’s password, is registered', () => {
  const wrong = [
    'http://models.test/a.gguf',
    'ftp://models.test/a.gguf',
    'engine:llama',
    'https://user:secret@models.test/a.gguf',
    'hf:only-a-name',
    'file:relative/a.gguf',
    '',
    `https://models.test/${'a'.repeat(2_100)}`,
  ];
  for (const source of wrong) assert.equal(sourceOf(source), undefined, source);
});

test('a good source is refused, or has two spellings', () => {
  assert.equal(sourceOf('hf:org/model:sub/a.gguf'), 'hf:org/model:sub/a.gguf');
  assert.equal(
    sourceOf(' HTTPS://models.test/a.gguf'),
    undefined,
    'the scheme is as it is written',
  );
  assert.equal(sourceOf('https://Models.test:443/x/../a.gguf'), 'https://models.test/a.gguf');
  assert.equal(sourceOf('file:///srv/m%20x/a.gguf'), 'file:/srv/m x/a.gguf');
  assert.equal(sourceOf('https://8.8.8.8/a.gguf'), 'https://8.8.8.8/a.gguf');
});

test('a format is guessed where the name says nothing', () => {
  assert.equal(formatOf('hf:org/model:a.Q4_0.GGUF'), 'gguf');
  assert.equal(formatOf('https://models.test/a.safetensors?token=x'), 'safetensors');
  assert.equal(formatOf('file:/srv/a.gguf'), 'gguf');
  assert.equal(formatOf('hf:org/model-gguf'), undefined);
  assert.equal(formatOf('https://models.test/a.bin?x=.gguf'), undefined);
});

test('a field out of range is kept, or the refusal does not say which', () => {
  const cases: [ModelWish, string][] = [
    [{ name: '  ' }, 'name'],
    [{ name: 'two\nlines' }, 'name'],
    [{ name: 'x'.repeat(129) }, 'name'],
    [{ sha256: 'abc' }, 'sha256'],
    [{ sizeBytes: 0 }, 'size_bytes'],
    [{ sizeBytes: 1.5 }, 'size_bytes'],
    [{ sizeBytes: 2 ** 51 }, 'size_bytes'],
    [{ contextLength: -1 }, 'context_length'],
    [{ contextLength: Number.MAX_SAFE_INTEGER }, 'context_length'],
  ];
  for (const [wish, param] of cases) {
    const read = readModelWish(wish);
    assert.ok(!read.ok && read.param === param, JSON.stringify(wish));
  }
  const read = readModelWish({ sha256: 'A'.repeat(64), name: ' tiny ', sizeBytes: null });
  assert.ok(read.ok);
  assert.deepEqual(
    [read.patch.sha256, read.patch.name, read.patch.sizeBytes, read.patch.source],
    ['a'.repeat(64), 'tiny', null, undefined],
  );
});
