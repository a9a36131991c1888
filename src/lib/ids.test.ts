import assert from 'node:assert/strict';
import { test } from 'node:test';
import { base32, isId, newId } from './ids.ts';
import { seededRandom } from './random.ts';

test('ids of one source repeat nothing and pass their own check', () => {
  const random = seededRandom(7);
  const ids = Array.from({ length: 2000 }, () => newId('req', random));
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.ok(isId(id, 'req'), id);
});

test('what has another prefix, length or character, or is no string, is not an id', () => {
  const id = newId('proj', seededRandom(1));
  assert.ok(isId(id));
  assert.ok(!isId(id, 'req'));
  assert.ok(!isId(id, 'pro'));
  for (const bad of [`${id}0`, id.slice(0, -1), id.toUpperCase(), `${id}\n`, '', null, 5, {}]) {
    assert.ok(!isId(bad), JSON.stringify(bad));
  }
  assert.ok(!isId(`proj_${'i'.repeat(26)}`));
});

test('base 32 keeps every bit', () => {
  assert.equal(base32(Buffer.alloc(0)), '');
  assert.equal(base32(Buffer.from([0xff])), 'zw');
  assert.equal(base32(Buffer.from([0, 0, 0, 0, 1])), '00000001');
  assert.equal(base32(Buffer.from('f'.repeat(32), 'hex')), `${'z'.repeat(25)}w`);
});
