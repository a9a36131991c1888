import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../testing/fakeClock.ts';
import { ReadTurns, type ReadTurn } from './readTurns.ts';

const limits = { atOnce: 2, waiting: 3, freeMs: 100, burstMs: 2_000, share: 0.5 };

function rig(maxReaders = 10) {
  const clock = new FakeClock();
  const turns = new ReadTurns({ clock, limits, maxReaders });
  const read = async (caller: string, tookMs: number): Promise<ReadTurn> => {
    const turn = await turns.enter(caller);
    if (!turn.ok) return turn;
    clock.advance(tookMs);
    turn.answered();
    turn.leave();
    return turn;
  };
  return { clock, turns, read };
}

test('one caller asks for the sums of a year without end', async () => {
  const { clock, read } = rig();
  let refused: ReadTurn | undefined;
  let served = 0;
  for (; served < 100; served += 1) {
    const turn = await read('user:a', 700);
    if (turn.ok) continue;
    refused = turn;
    break;
  }
  assert.ok(served >= 4 && served <= 8, `${served} were served`);
  assert.ok(refused !== undefined && !refused.ok);
  assert.ok((await read('user:b', 700)).ok, 'another caller is not held to it');
  clock.advance(refused.retryAfterMs);
  assert.ok((await read('user:a', 700)).ok, 'after what it was told');
});

test('a script that reads ten thousand pages is held up', async () => {
  const { read } = rig();
  for (let page = 0; page < 10_000; page += 1) assert.ok((await read('key:a', 20)).ok);
});

test('reads of one caller at once are as many as it likes, or one of them never ends', async () => {
  const { turns } = rig();
  const first = await turns.enter('user:a');
  const second = await turns.enter('user:a');
  const waiting = [1, 2, 3].map(() => turns.enter('user:a'));
  const beyond = await turns.enter('user:a');
  assert.deepEqual(beyond, { ok: false, retryAfterMs: 1_000 });
  assert.ok((await turns.enter('user:b')).ok);
  assert.ok(first.ok && second.ok);
  first.leave();
  first.leave();
  const third = await waiting[0];
  const state = await Promise.race([waiting[1], Promise.resolve('waits')]);
  assert.equal(state, 'waits', 'who leaves twice lets two in');
  second.leave();
  assert.ok(third?.ok);
  third.leave();
  for (const turn of await Promise.all(waiting)) if (turn.ok) turn.leave();
  assert.ok((await turns.enter('user:a')).ok);
});

test('callers without number are remembered, or one that reads is forgotten', async () => {
  const { turns } = rig(3);
  const reading = await turns.enter('user:a');
  for (let at = 0; at < 20; at += 1) {
    const turn = await turns.enter(`user:${at}`);
    if (turn.ok) turn.leave();
  }
  assert.ok(turns.size <= 3);
  await turns.enter('user:a');
  const third = turns.enter('user:a');
  assert.equal(await Promise.race([third, Promise.resolve('waits')]), 'waits');
  if (reading.ok) reading.leave();
  assert.ok((await third).ok);
});
