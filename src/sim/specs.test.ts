/** The specs of fleets and faults. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFaults } from './faultSpec.ts';
import { parseFleet } from './fleetSpec.ts';

test('a fleet of other machines than its spec says', () => {
  const fleet = parseFleet('2xA100+1xA100@3+1xA100@1.5');
  assert.deepEqual(
    fleet.kind === 'fleet' && fleet.machines.map(({ slowness }) => slowness),
    [1, 1, 3, 1.5],
  );
  const bad = ['', 'A100', '0xA100', '2xH9000', '2xA100@0', '2xA100+', '2xa100', '99999xA100'];
  for (const spec of bad) assert.equal(parseFleet(spec).kind, 'bad_fleet', spec);
});

test('faults of other machines or times than their spec says', () => {
  const faults = parseFaults('2@600-660,2@700-710.5:4', { machines: 2 });
  assert.deepEqual(faults.kind === 'faults' && faults.faults, [
    { machine: 2, fromS: 600, toS: 660, slowdown: null },
    { machine: 2, fromS: 700, toS: 710.5, slowdown: 4 },
  ]);
  const bad = ['', '3@1-2', '0@1-2', '1@2-1', '1@1', '1@1-2:0', '1@1-5,1@4-6', '1@1-2;2@1-2'];
  for (const spec of bad) assert.equal(parseFaults(spec, { machines: 2 }).kind, 'bad_faults', spec);
});
