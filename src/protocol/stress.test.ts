/** Two honest ends over a network with delays, stalls and cuts, in virtual time, by seed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomInt, seededRandom, type Random } from '../lib/random.ts';
import { FakeClock } from '../testing/fakeClock.ts';
import {
  Answer,
  createLinkPair,
  endOf,
  type LinkPair,
  type Request,
} from '../testing/links/linkPair.ts';
import { createMemoryPair, type MemoryPair } from './memoryTransport.ts';

const head = { status: 200, contentType: 'text/event-stream' };

interface World {
  random: Random;
  clock: FakeClock;
  memory: MemoryPair;
  pair: LinkPair;
  answers: Answer[];
  /** Bytes that each answer should have, by request. */
  answerBytes: Map<string, number>;
  bodyBytes: Map<string, number>;
}

/** Bytes whose place in the row can be told from any piece of it. */
function patterned(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32BE(at, at);
  return bytes;
}

async function newWorld(seed: number): Promise<World> {
  const random = seededRandom(seed);
  const clock = new FakeClock();
  const memory = createMemoryPair({ clock });
  const transports = { ...memory, cut: () => memory.cut(), dispose: async () => {} };
  const pair = await createLinkPair({ transports, clock });
  const delayMs = (): number => randomInt(random, 40);
  memory.towardsAgent.delayMs = delayMs;
  memory.towardsRouter.delayMs = delayMs;
  const records = { answers: [], answerBytes: new Map(), bodyBytes: new Map() };
  return { random, clock, memory, pair, ...records };
}

function openOne(world: World): void {
  const { random, answers, pair } = world;
  const requestId = `req_${answers.length}`;
  const length = randomInt(random, random.float() < 0.2 ? 3_000_000 : 5000);
  const answer = new Answer();
  answer.reading = false;
  pair.open({ requestId, bodyBytes: length }, answer);
  if (length > 0) answer.stream?.write(patterned(length));
  answer.stream?.end();
  world.bodyBytes.set(requestId, length);
  answers.push(answer);
}

/** The agent answers a request whose body is complete, confirms a cancel, or refuses. */
function serve(world: World, request: Request): void {
  const { random, answerBytes } = world;
  const { requestId } = request.message;
  const end = endOf({ requestId });
  if (request.resets.length > 0) return request.stream.end({ ...end, outcome: 'cancelled' });
  if (request.ends.length === 0 || answerBytes.has(requestId)) return;
  if (random.float() < 0.1) {
    answerBytes.set(requestId, -1);
    return request.stream.reset('engine_failed', 'stress');
  }
  const length = randomInt(random, random.float() < 0.2 ? 900_000 : 3000);
  answerBytes.set(requestId, length);
  request.stream.head(head);
  request.stream.write(patterned(length));
  request.stream.end(end);
}

/** Clients read at their own pace. */
function read(random: Random, answer: Answer): void {
  if (random.float() < 0.5) answer.stream?.consumed(randomInt(random, 400_000));
}

async function step(world: World): Promise<void> {
  const { random, pair, memory, answers, clock } = world;
  if (random.float() < 0.5 && answers.length < 25) openOne(world);
  if (random.float() < 0.05) memory.towardsRouter.hold();
  if (random.float() < 0.05) memory.towardsAgent.hold();
  if (random.float() < 0.4) memory.towardsRouter.release();
  if (random.float() < 0.4) memory.towardsAgent.release();
  for (const request of pair.requests) serve(world, request);
  for (const answer of answers) read(random, answer);
  if (random.float() < 0.05) answers[randomInt(random, answers.length)]?.stream?.reset('cancelled');
  await clock.advanceAsync(randomInt(random, 30));
}

async function settle(world: World): Promise<void> {
  const { random, pair, memory, answers, clock } = world;
  memory.towardsRouter.release();
  memory.towardsAgent.release();
  await clock.advanceAsync(20);
  for (let n = 0; n < 400 && pair.router.openStreams() > 0; n += 1) {
    for (const request of pair.requests) serve(world, request);
    for (const answer of answers) read(random, answer);
    await clock.advanceAsync(20);
  }
}

/** What was received is what was sent, in its order, and each stream ended once. */
function check(world: World, ending: 'settled' | 'cut'): void {
  const { pair, answers, answerBytes, bodyBytes } = world;
  for (const [n, answer] of answers.entries()) {
    const requestId = `req_${n}`;
    const got = Buffer.concat(answer.chunks);
    const length = answerBytes.get(requestId) ?? 0;
    assert.ok(got.equals(patterned(Math.max(0, length)).subarray(0, got.length)), requestId);
    const { ends, resets, confirmed } = answer;
    assert.equal(ends.length + resets.length + confirmed.length, 1, `${requestId} ended once`);
    if (ends.length === 1) assert.equal(got.length, length);
    if (ending === 'settled') assert.ok(resets[0] === undefined || length === -1);
  }
  for (const request of pair.requests) {
    const length = bodyBytes.get(request.message.requestId) ?? -1;
    const got = Buffer.concat(request.chunks);
    assert.ok(got.equals(patterned(length).subarray(0, got.length)));
    if (request.ends.length === 1) assert.equal(got.length, length);
  }
}

void test('no delay, stall, cancel or cut loses, repeats or mixes a byte', async () => {
  const seen = { ended: 0, reset: 0, confirmed: 0 };
  for (let seed = 1; seed <= 30; seed += 1) {
    const world = await newWorld(seed);
    const { pair, memory } = world;
    try {
      for (let n = 0; n < 60; n += 1) await step(world);
      const ending = seed % 3 === 0 ? 'cut' : 'settled';
      if (ending === 'cut') memory.cut();
      await settle(world);
      check(world, ending);
      assert.equal(pair.router.openStreams() + pair.agent.openStreams(), 0);
      const ends = [...pair.routerClosed, ...pair.agentClosed].map((closed) => closed.reason);
      assert.deepEqual(ends, ending === 'cut' ? ['transport_error', 'transport_error'] : []);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    for (const answer of world.answers) {
      seen.ended += answer.ends.length;
      seen.reset += answer.resets.length;
      seen.confirmed += answer.confirmed.length;
    }
  }
  assert.ok(Math.min(...Object.values(seen)) > 20, JSON.stringify(seen));
});

void test('a 1 MiB prompt over a 100 ms link waits for no credit, 2 MiB for one', async () => {
  for (const [mebibytes, arrivesAfterMs] of [
    [1, 50],
    [2, 150],
  ] as const) {
    const { clock, memory, pair } = await newWorld(1);
    memory.towardsAgent.delayMs = () => 50;
    memory.towardsRouter.delayMs = () => 50;
    await clock.advanceAsync(1000);
    const sentAtMs = clock.monotonic();
    const answer = pair.open({ bodyBytes: mebibytes * 2 ** 20 });
    answer.stream.write(Buffer.alloc(mebibytes * 2 ** 20));
    answer.stream.end();
    while (pair.requests[0]?.ends.length !== 1) await clock.advanceAsync(1);
    assert.equal(clock.monotonic() - sentAtMs, arrivesAfterMs);
    pair.router.close('shutting_down');
  }
});
