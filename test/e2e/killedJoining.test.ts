/**
 * The cases in which a kill costs most; `npm run proofs -- kill-joining` has one for every message.
 * Pieces: 1 and 2 are the nonce, 3 and 4 the enrolment (or the refresh), 5 and 6 the upgrade.
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { endLeftovers } from '../../src/testing/processes/processes.ts';
import { KilledJoining, type Kill } from '../../src/testing/database/killedJoining.ts';
import type { KillMoment } from '../../src/testing/database/killMoment.ts';

let rig: KilledJoining;
before(async () => {
  rig = await KilledJoining.open();
});
after(async () => {
  await rig.close();
  endLeftovers();
});

const cases: [string, Kill][] = [
  [
    'an agent killed before the answer to its enrolment is another agent, or a use more',
    { victim: 'agent', way: 'joining', at: 4, passedOn: false },
  ],
  [
    'an agent killed before the answer to its refresh is suspended as a thief',
    { victim: 'agent', way: 'returning', at: 4, passedOn: false },
  ],
  [
    'a server killed while it enrols an agent makes two of it, or none',
    { victim: 'server', way: 'joining', at: 3, passedOn: true },
  ],
  [
    'a server killed while it rotates a token has lost the agent',
    { victim: 'server', way: 'returning', at: 3, passedOn: true },
  ],
  [
    'a server killed in the middle of a handshake is not dialled again',
    { victim: 'server', way: 'joining', at: 7, passedOn: false },
  ],
];

for (const [name, kill] of cases) {
  test(name, async () => {
    assert.equal(await rig.run(kill), 'killed');
  });
}

/** At pieces of the talk, each lost and each delivered. */
const pieces = (first: number, last: number): KillMoment[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index).flatMap((at) =>
    [false, true].map((passedOn) => ({ kind: 'piece' as const, at, passedOn })),
  );

test('an agent killed at one step of joining after the other that forgets who it is', async () => {
  await rig.runInTurn(pieces(2, 6));
});

test('an agent killed at changes of its state that leaves half a file, or a lock', async () => {
  await rig.runInTurn([1, 2, 3, 4, 6, 9].map((change) => ({ kind: 'file', change })));
});

test('an agent killed at each step of refresh after refresh is taken for a copy', async () => {
  const through: KillMoment = { kind: 'piece', at: 6, passedOn: true };
  const refreshes = pieces(3, 4);
  await rig.runInTurn([through, ...refreshes, ...refreshes.toReversed(), ...refreshes]);
});
