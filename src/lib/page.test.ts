import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeCursor, encodeCursor, mapPage } from './page.ts';

test('a place is another one after its way through a cursor', () => {
  const value = fc.oneof(
    fc.maxSafeInteger(),
    fc.string({ unit: 'grapheme', maxLength: 30 }).filter((text) => !text.includes('\0')),
  );
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), (place) => {
      const kinds = place.map((one) => (typeof one === 'number' ? 'number' : 'string'));
      const cursor = encodeCursor(place);
      assert.match(cursor, /^[\w-]+$/);
      assert.deepEqual(decodeCursor(cursor, kinds), place);
    }),
  );
});

test('text that is no cursor is taken for a place, or breaks something', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const place = decodeCursor(text, ['number', 'string']);
      assert.ok(place === undefined || encodeCursor(place) !== '');
    }),
  );
  const long = encodeCursor(['x'.repeat(2_000)]);
  assert.equal(decodeCursor(long, ['string']), undefined);
});

test('a page forgets where it goes on when its items are turned into others', () => {
  const paged = { items: [1, 2], next: [2] };
  assert.deepEqual(
    mapPage(paged, (item) => `${item}`),
    { items: ['1', '2'], next: [2] },
  );
});
