import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyRegionMap, nearnessOf } from './regionMap.ts';

test('regions of one group are far, of two groups near, or case keeps them apart', () => {
  const map = {
    groups: [
      ['eu-1', 'EU-2'],
      ['eu-2', 'lab'],
    ],
  };
  assert.equal(nearnessOf(map, 'eu-1', 'EU-1'), 'same');
  assert.equal(nearnessOf(map, 'eu-1', 'eu-2'), 'near');
  assert.equal(nearnessOf(map, 'Lab', 'eu-2'), 'near');
  assert.equal(nearnessOf(map, 'eu-1', 'lab'), 'far', 'near is not handed on');
  assert.equal(nearnessOf(emptyRegionMap, 'a', 'b'), 'far');
  assert.equal(nearnessOf(emptyRegionMap, 'a', 'a'), 'same');
});
