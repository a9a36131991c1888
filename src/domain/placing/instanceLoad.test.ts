import assert from 'node:assert/strict';
import test from 'node:test';
import { InstanceLoad, type Order, type Room, type Work } from './instanceLoad.ts';
import { LatencyModel } from '../prediction/latencyModel.ts';
import { nothingHeld } from './prefixIndex.ts';
import { RoomLearner } from './roomLearner.ts';

const order = (over: Partial<Order> = {}): Order => ({
  prompt: 4000,
  own: 4000,
  expected: nothingHeld,
  answer: 100,
  streams: true,
  ...over,
});
const thousand = { prompt: 1000, own: 1000 };
/** Nothing is known of its speed: 16 tokens are taken for a ms. */
const fresh = (holds: number | null = null): InstanceLoad =>
  new InstanceLoad(new LatencyModel(null), holds);

test('S2: an instance that computes no prompt is closed by its backlog', () => {
  const load = fresh();
  assert.ok(load.opensAtMs() <= 0);
  const works = [load.dispatch(order({ own: 90_000 }), 0), load.dispatch(order(), 0)];
  assert.ok(load.opensAtMs() > 5000);
  for (const work of works) load.firstByte(work, 10);
  assert.ok(load.opensAtMs() <= 10);
  load.dispatch(order({ own: 90_000 }), 20);
  const last = load.dispatch(order(), 20);
  load.ended(last, { nowMs: 30, output: null });
  assert.ok(load.opensAtMs() > 5000, 'what ended unseen took its backlog with it');
});

test('a backlog does not drain between events, or drains although nothing comes', () => {
  const load = fresh();
  load.dispatch(order({ own: 16_000 }), 0);
  assert.equal(load.backlogMs(0), 1000);
  assert.equal(load.backlogMs(400), 600);
  assert.equal(load.aheadTokens(400), 9600);
  // Ten seconds late: it is not done just because it should be.
  assert.ok(load.backlogMs(11_000) > 1000);
});

test('a first byte says nothing of the prompts that were before it', () => {
  const load = fresh();
  const works = [0, 1, 2].map(() => load.dispatch(order({ own: 16_000 }), 0));
  const [, second] = works;
  assert.ok(second !== undefined);
  load.firstByte(second, 500);
  assert.equal(Math.round(load.backlogMs(500)), 2000);
  const [first, , third] = works as [Work, Work, Work];
  load.firstByte(first, 510);
  load.firstByte(third, 900);
  assert.equal(load.backlogMs(900), 0);
});

test('what was given to an instance is counted on after it has ended', () => {
  const load = fresh();
  const works = [1, 2, 3].map(() => load.dispatch(order(), 0));
  assert.equal(load.inFlight, 3);
  load.firstByte(works[0] as Work, 50);
  for (const work of works) load.ended(work, { nowMs: 100, output: 20 });
  for (const work of works) load.ended(work, { nowMs: 100, output: 20 });
  assert.equal(load.inFlight, 0);
  const pairs = { aheadPairs: 0, ownPairs: 49 };
  const expected = { ahead: 0, own: 7, ...pairs, running: 0, held: 0 };
  assert.deepEqual(load.loadFor({ prompt: 7, own: 7 }, 200), expected);
});

test('an answer in one piece teaches how long a first token takes', () => {
  const load = fresh();
  for (let n = 0; n < 40; n += 1) {
    const work = load.dispatch(order({ streams: false }), n * 1000);
    load.firstByte(work, n * 1000 + 900);
    load.ended(work, { nowMs: n * 1000 + 900, output: 100 });
  }
  assert.equal(load.model.samples, 0);
});

test('an instance is filled to the last token that its engine holds', () => {
  const load = fresh(10_000);
  const has = (prompt: number, room: Room = 'of_use'): boolean =>
    load.hasRoom({ prompt, answer: 100 }, { room, nowMs: 0 });
  assert.ok(has(100_000), 'a single one may be as large as it likes');
  load.dispatch(order(), 0);
  assert.ok(has(3700));
  assert.ok(!has(3800));
  assert.ok(has(4900, 'fair'), 'the project whose turn it is gets a little more');
  assert.ok(!has(5000, 'fair') && has(5000, 'any'));
});

test('memory is left for what is cached where no prompt begins with it', () => {
  const room = new RoomLearner(10_000);
  assert.equal(room.bound, 8000);
  for (let n = 0; n < 500; n += 1) room.found({ prompt: 1000, cached: 0 });
  assert.ok(room.bound > 9900, `${room.bound}`);
  for (let n = 0; n < 500; n += 1) room.found({ prompt: 1000, cached: 100 });
  assert.equal(room.bound, 8000);
  room.found({ prompt: 0, cached: 0 });
  assert.equal(room.bound, 8000);
});

test('requests are given to an engine in which one waits already', () => {
  const load = fresh();
  const has = (nowMs: number): boolean =>
    load.hasRoom({ prompt: 10, answer: 10 }, { room: 'of_use', nowMs });
  const answered = (atMs: number, more: Partial<Order> = {}): Work => {
    const work = load.dispatch(order(more), atMs);
    load.firstByte(work, atMs + 100);
    return work;
  };
  const first = load.dispatch(order(), 0);
  assert.ok(has(1e9), 'nobody knows yet how long it takes');
  load.ended(first, { nowMs: 1e9, output: null });
  const works = Array.from({ length: 50 }, (_none, at) => answered(at * 1000));
  const late = load.dispatch(order(), 60_000);
  assert.ok(has(60_500) && !has(70_000));
  for (const work of works.splice(0, 10)) load.ended(work, { nowMs: 69_000, output: 20 });
  assert.ok(!has(70_000));
  load.firstByte(late, 70_000);
  assert.ok(has(70_000), 'S3: from its first token on');
  // With little to do it hangs, but not because its memory is full.
  for (const work of works) load.ended(work, { nowMs: 80_000, output: 20 });
  load.dispatch(order(), 80_000);
  assert.ok(has(200_000));
});

test('an idle engine keeps a part of a token, and refuses what is too large for ever', () => {
  const load = fresh(10_000);
  const answers = [0.1, 0.7, 33.333, 1 / 3, 250.55, 1e-3];
  for (let round = 0; round < 50; round += 1) {
    const works = answers.map((answer) => load.dispatch(order({ answer, prompt: 10.1 }), round));
    for (const work of works) load.ended(work, { nowMs: round, output: null });
  }
  const large = { prompt: 100_000, answer: 10 };
  assert.ok(load.hasRoom(large, { room: 'of_use', nowMs: 60 }));
});

test('one stream that hangs closes the engine to everybody', () => {
  const load = fresh();
  const has = (nowMs: number): boolean =>
    load.hasRoom({ prompt: 10, answer: 10 }, { room: 'of_use', nowMs });
  const works = Array.from({ length: 50 }, (_none, at) => {
    const work = load.dispatch(order(), at * 1000);
    load.firstByte(work, at * 1000 + 100);
    return work;
  });
  const hung = load.dispatch(order(), 60_000);
  const behind = load.dispatch(order(), 60_100);
  assert.ok(!has(70_000));
  load.firstByte(behind, 60_400);
  assert.ok(has(90_000), 'who comes behind it is served');
  load.ended(hung, { nowMs: 90_000, output: null });
  // Another one, and all that was there when it came has ended.
  load.dispatch(order(), 90_000);
  assert.ok(!has(100_000));
  for (const work of [...works, behind]) load.ended(work, { nowMs: 100_000, output: 20 });
  assert.ok(has(100_000));
});

test('an engine whose memory is full goes on being given more, or less for ever', () => {
  const room = new RoomLearner(null);
  const inTime = (given: number): void =>
    room.firstToken({ measuredMs: 400, explainedMs: 300, given, tokens: 100 });
  room.firstToken({ measuredMs: 60_000, explainedMs: 300, given: 100, tokens: 100 });
  assert.equal(room.bound, Infinity, 'nothing is known of it yet');
  for (let n = 0; n < 40; n += 1) inTime(10_000 * n);
  assert.equal(room.bound, Infinity);
  // One that hangs with little to do says nothing of its memory.
  room.firstToken({ measuredMs: 60_000, explainedMs: 300, given: 9000, tokens: 100 });
  assert.equal(room.bound, Infinity);
  room.firstToken({ measuredMs: 5000, explainedMs: 300, given: 410_000, tokens: 100 });
  const full = room.bound;
  assert.ok(full > 300_000 && full < 410_000, `${full}`);
  for (let n = 0; n < 3000; n += 1) inTime(room.bound * 0.95);
  assert.ok(room.bound > full * 1.3 && room.bound < full * 3, `${room.bound}`);
});

test('an instance that answers in one piece only stays slow in the eyes of the router', () => {
  const load = fresh();
  const whole = order({ own: 1000, streams: false });
  // 1,000 tokens are taken for 62 ms until answers say that they are done in ten.
  for (let at = 0; at < 50; at += 1) {
    const work = load.dispatch(whole, at * 100);
    load.ended(work, { nowMs: at * 100 + 10, output: 20 });
  }
  assert.ok(load.prefillMs(thousand) < 11, String(load.prefillMs(thousand)));
  // Nobody learns from what failed at once, and nothing is taken for slower than what is not known.
  for (let at = 50; at < 100; at += 1) {
    const failed = load.dispatch(whole, at * 1000);
    load.ended(failed, { nowMs: at * 1000, output: null });
    const work = load.dispatch(whole, at * 1000);
    load.ended(work, { nowMs: at * 1000 + 900, output: 20 });
  }
  const unknown = fresh().prefillMs(thousand);
  assert.ok(load.prefillMs(thousand) > unknown * 0.9 && load.prefillMs(thousand) <= unknown);
});

test('answers in one piece leave a backlog behind that nobody has', () => {
  const load = fresh();
  for (let at = 0; at < 1000; at += 1) {
    const work = load.dispatch(order({ own: 160, streams: false }), at);
    load.firstByte(work, at + 0.5);
    load.ended(work, { nowMs: at + 0.5, output: null });
  }
  load.dispatch(order({ own: 160, streams: false }), 1000);
  assert.ok(load.backlogMs(1000) <= 10, String(load.backlogMs(1000)));
});
