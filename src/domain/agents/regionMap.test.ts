import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyRegionMap, NearRegions } from './regionMap.ts';

test('regions of one group are far, of two groups near, or case keeps them apart', () => {
  const map = new NearRegions({
    groups: [
      ['eu-1', 'EU-2'],
      ['eu-2', 'lab'],
    ],
  });
  const nothing = new NearRegions(emptyRegionMap);
  assert.equal(map.nearness('eu-1', 'EU-1'), 'same');
  assert.equal(map.nearness('eu-1', 'eu-2'), 'near');
  assert.equal(map.nearness('Lab', 'eu-2'), 'near');
  assert.equal(map.nearness('eu-1', 'lab'), 'far', 'near is not handed on');
  assert.equal(nothing.nearness('a', 'b'), 'far');
  assert.equal(nothing.nearness('a', 'a'), 'same');
});
