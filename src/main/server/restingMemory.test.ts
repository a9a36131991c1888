import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../testing/fakeClock.ts';
import { keepMemoryAtRest, type Traffic } from './restingMemory.ts';

test('a collection while somebody waits, between bursts, or more than once after a load', () => {
  const clock = new FakeClock();
  const stopped = new AbortController();
  let now: Traffic = { running: 0, waiting: 0, ended: 0 };
  let released = 0;
  const release = (): void => void (released += 1);
  keepMemoryAtRest({ traffic: () => now, clock, stopped: stopped.signal, release });
  const after = (traffic: Partial<Traffic>, seconds = 10): number => {
    now = { ...now, ...traffic };
    // Look by look.
    for (let passed = 0; passed < seconds; passed += 10) clock.advance(10_000);
    return released;
  };
  assert.equal(after({}), 0, 'nothing has happened');
  assert.equal(after({ running: 3, ended: 9_000 }), 0);
  assert.equal(after({}), 0, 'three still run');
  assert.equal(after({ running: 0, ended: 9_003 }), 0, 'they ended just now');
  assert.equal(after({ waiting: 1 }, 90), 0, 'one waits');
  assert.equal(after({ waiting: 0 }, 50), 0, 'a pause');
  assert.equal(after({ ended: 9_004 }), 0, 'the next burst');
  assert.equal(after({}, 50), 0, 'another pause');
  assert.equal(after({}), 1, 'a rest');
  assert.equal(after({}, 90), 1, 'the same rest');
  assert.equal(after({ ended: 9_104 }), 1);
  assert.equal(after({}, 90), 1, 'a hundred requests leave nothing worth it');
  assert.equal(after({ ended: 9_604 }), 1);
  assert.equal(after({}, 60), 2, 'the next rest');
  stopped.abort();
  after({ ended: 99_999 });
  assert.equal(after({}, 90), 2, 'the server has ended');
});
