import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { SlowdownAlarm } from './slowdownAlarm.ts';

/** After how many of these factors it goes off; null: it does not. */
function goesOffAfter(factors: readonly number[], alarm = new SlowdownAlarm<number>()) {
  for (const [at, factor] of factors.entries()) {
    const told = alarm.note(at, factor);
    if (told !== null) return { after: at + 1, told };
  }
  return null;
}

const times = (count: number, of: (n: number) => number): number[] =>
  Array.from({ length: count }, (_, n) => of(n));

test('a machine of half its speed is noticed late, or one that is slower still no sooner', () => {
  assert.equal(goesOffAfter(times(40, () => 2))?.after, 32);
  for (const factor of [3, 10, 1000]) {
    assert.equal(goesOffAfter(times(40, () => factor))?.after, 15, String(factor));
  }
});

test('it begins anew with samples of the fast time, with none, or with too many', () => {
  const { told = [] } = goesOffAfter([...times(50, () => 1), ...times(40, () => 2)]) ?? {};
  assert.deepEqual(
    told,
    times(32, (n) => 50 + n),
  );
  const alarm = new SlowdownAlarm<number>();
  // So little slower that it takes a thousand to be sure.
  const slow = goesOffAfter(
    times(5000, () => 1.43),
    alarm,
  );
  assert.ok((slow?.after ?? 0) > 100);
  assert.equal(slow?.told.length, 32);
  assert.equal(
    goesOffAfter(
      times(15, () => 2),
      alarm,
    ),
    null,
    'it watches anew',
  );
});

test('what scatters by as much as real times do is taken for a slow machine', () => {
  const random = seededRandom(3);
  // Half of it, or twice as much: one in three is beyond either.
  const scattered = times(20_000, () => Math.exp((random.float() - 0.5) * 2 * Math.log(3)));
  assert.equal(goesOffAfter(scattered), null);
  // One in four hangs.
  assert.equal(goesOffAfter(times(20_000, (n) => (n % 4 === 0 ? 100 : 1))), null);
});
