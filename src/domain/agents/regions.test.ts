import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Regions, type Placed } from './regions.ts';

const agent = (region: string, rttMs: number | null): Placed => ({ entry: { region }, rttMs });
const from = (region: string, projectId = 'a') => ({ region, projectId });
const shared = (id: string, region: string) => ({ id, projectId: null, region });

test('the next rack is as far as the other side of the sea, because nobody drew a map', () => {
  const regions = new Regions('local');
  assert.equal(regions.nearness(from('local'), agent('Local', null)), 'same');
  assert.equal(regions.nearness(from('local'), agent('rack-2', 0.4)), 'near');
  assert.equal(regions.nearness(from('local'), agent('us', 90)), 'far');
  assert.equal(regions.nearness(from('local'), agent('rack-2', null)), 'far', 'not measured yet');
});

test('what is near the router is taken for near a region of which nothing is known', () => {
  const regions = new Regions('local');
  assert.equal(regions.nearness(from('asia'), agent('rack-2', 0.4)), 'far');
  regions.note(shared('1', 'Asia'), 180);
  assert.equal(regions.nearness(from('asia'), agent('rack-2', 0.4)), 'far');
  regions.note(shared('2', 'eu-1'), 14);
  assert.equal(regions.nearness(from('EU-1'), agent('eu-2', 10)), 'near', '24 ms by the router');
  assert.equal(regions.nearness(from('eu-1'), agent('eu-3', 12)), 'far');
});

test('a round trip that was long once makes a region far for good, or a short one near', () => {
  const regions = new Regions('local');
  const isNear = (): boolean => regions.nearness(from('eu-1'), agent('eu-2', 10)) === 'near';
  regions.note(shared('1', 'eu-1'), 10);
  regions.note(shared('2', 'eu-1'), 400);
  assert.ok(isNear());
  regions.note(shared('1', 'eu-1'), 100);
  assert.ok(!isNear(), 'told once, for it changes once');
  regions.note(shared('3', 'eu-1'), 1);
  assert.ok(isNear());
  regions.left(shared('3', 'eu-1'));
  assert.ok(!isNear(), 'it was there for a moment');
  regions.note(shared('2', 'eu-1'), 5);
  regions.left(shared('1', 'eu-1'));
  regions.left(shared('2', 'eu-1'));
  assert.ok(isNear(), 'where its agents were, though none is left: now others have to serve');
  regions.note(shared('4', 'eu-1'), 180);
  assert.ok(!isNear());
});

test('a project makes a region near for all others, by an agent that calls itself so', () => {
  const regions = new Regions('local');
  regions.note({ id: '1', projectId: 'b', region: 'asia' }, 0.1);
  assert.equal(regions.nearness(from('asia', 'a'), agent('rack-2', 5)), 'far');
  assert.equal(regions.nearness(from('asia', 'b'), agent('rack-2', 5)), 'near', 'its own word');
  regions.note(shared('2', 'asia'), 180);
  assert.equal(regions.nearness(from('asia', 'a'), agent('rack-2', 5)), 'far');
});

test('the map of the operator is overruled by a measurement', () => {
  const regions = new Regions('local');
  regions.map = { groups: [['local', 'eu-1']] };
  const here = from('local');
  assert.equal(regions.nearness(here, agent('eu-1', 300)), 'near');
  assert.equal(regions.nearness(here, agent('eu-2', 1)), 'far', 'it names one of the two');
  regions.map = { groups: [['us-1', 'us-2']] };
  assert.equal(regions.nearness(here, agent('eu-2', 1)), 'near', 'it names neither');
});

test('regions without number use up all memory, or those where agents are linked', () => {
  const regions = new Regions('local');
  regions.note(shared('stays', 'linked'), 1);
  regions.note(shared('1', 'first'), 1);
  regions.left(shared('1', 'first'));
  const moves = (n: number) => ({ id: 'moves', projectId: 'b', region: `r${n}` });
  for (let n = 0; n <= 10_000; n += 1) {
    regions.note(moves(n), 1);
    regions.left(moves(n));
  }
  assert.equal(regions.nearness(from('first'), agent('rack-2', 1)), 'far');
  assert.equal(regions.nearness(from('linked'), agent('rack-2', 1)), 'near');
  assert.equal(regions.nearness(from('r9999', 'b'), agent('rack-2', 1)), 'near');
});
