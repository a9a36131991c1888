import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Regions, type Placed } from './regions.ts';

const agent = (region: string, rttMs: number | null): Placed => ({ entry: { region }, rttMs });

test('the next rack is as far as the other side of the sea, because nobody drew a map', () => {
  const regions = new Regions('local');
  assert.equal(regions.nearness('local', agent('Local', null)), 'same');
  assert.equal(regions.nearness('local', agent('rack-2', 0.4)), 'near');
  assert.equal(regions.nearness('local', agent('us', 90)), 'far');
  assert.equal(regions.nearness('local', agent('rack-2', null)), 'far', 'not measured yet');
});

test('what is near the router is taken for near a region of which nothing is known', () => {
  const regions = new Regions('local');
  assert.equal(regions.nearness('asia', agent('rack-2', 0.4)), 'far');
  regions.note('Asia', 180);
  assert.equal(regions.nearness('asia', agent('rack-2', 0.4)), 'far');
  regions.note('eu-1', 14);
  assert.equal(regions.nearness('EU-1', agent('eu-2', 10)), 'near', 'at most 24 ms by the router');
  assert.equal(regions.nearness('eu-1', agent('eu-3', 12)), 'far');
});

test('a round trip that was long once makes a region far for good, or a short one near', () => {
  const regions = new Regions('local');
  regions.note('eu-1', 10);
  regions.note('eu-1', 400);
  regions.note('eu-1', 10);
  assert.equal(regions.nearness('eu-1', agent('eu-2', 10)), 'near');
  for (let n = 0; n < 40; n += 1) regions.note('eu-1', 100);
  assert.equal(regions.nearness('eu-1', agent('eu-2', 10)), 'far');
});

test('the map of the operator is overruled by a measurement', () => {
  const regions = new Regions('local');
  regions.map = { groups: [['local', 'eu-1']] };
  assert.equal(regions.nearness('local', agent('eu-1', 300)), 'near');
  assert.equal(regions.nearness('local', agent('eu-2', 1)), 'far', 'it names one of the two');
  regions.map = { groups: [['us-1', 'us-2']] };
  assert.equal(regions.nearness('local', agent('eu-2', 1)), 'near', 'it names neither');
});

test('regions without number use up all memory', () => {
  const regions = new Regions('local');
  regions.note('first', 1);
  for (let n = 0; n < 1000; n += 1) regions.note(`r${n}`, 1);
  assert.equal(regions.nearness('first', agent('r1', 1)), 'far');
  assert.equal(regions.nearness('r2', agent('r1', 1)), 'near');
});
