import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../testing/fakeClock.ts';
import type { TransportHandlers } from './link.ts';
import { createMemoryPair } from './memoryTransport.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Recorder implements TransportHandlers {
  events: string[] = [];

  onMessage(message: Buffer): void {
    this.events.push(message.toString());
  }

  onClose(code: number, reason: string): void {
    this.events.push(`close ${code} ${reason}`);
  }

  onError(error: Error): void {
    this.events.push(error.message);
  }

  onViolation(detail: string): void {
    this.events.push(detail);
  }

  onDrain(): void {}
}

function connected(clock = new FakeClock()) {
  const pair = createMemoryPair({ clock });
  const router = new Recorder();
  const agent = new Recorder();
  pair.router.handlers = router;
  pair.agent.handlers = agent;
  const send = (...texts: string[]): void => {
    for (const text of texts) pair.agent.send(Buffer.from(text));
  };
  return { ...pair, cut: () => pair.cut(), clock, send, heard: router.events, said: agent.events };
}

void test('messages arrive later than they were sent, whole and in order', async () => {
  const { send, heard } = connected();
  send('a', 'b', 'c');
  assert.deepEqual(heard, []);
  await turn();
  assert.deepEqual(heard, ['a', 'b', 'c']);
});

void test('a delay does not let a later message overtake, unless it is told to', async () => {
  for (const reorder of [false, true]) {
    const { send, heard, clock, towardsRouter } = connected();
    towardsRouter.reorder = reorder;
    towardsRouter.delayMs = (message) => (message.toString() === 'slow' ? 50 : 10);
    send('slow', 'quick');
    await clock.advanceAsync(20);
    assert.deepEqual(heard, reorder ? ['quick'] : []);
    await clock.advanceAsync(40);
    assert.deepEqual(heard, reorder ? ['quick', 'slow'] : ['slow', 'quick']);
  }
});

void test('what a stopped reader has not taken is counted as unsent', async () => {
  const { send, heard, agent, towardsRouter } = connected();
  towardsRouter.hold();
  send('abc', 'de');
  await turn();
  assert.deepEqual([agent.bufferedBytes(), heard.length], [5, 0]);
  towardsRouter.release();
  await turn();
  assert.deepEqual([agent.bufferedBytes(), heard.length], [0, 2]);
});

void test('a half-open connection swallows one direction and not the other', async () => {
  const { send, heard, said, router, towardsRouter } = connected();
  towardsRouter.swallow();
  send('lost');
  router.send(Buffer.from('heard'));
  await turn();
  assert.deepEqual([heard, said], [[], ['heard']]);
});

void test('a tampered direction changes and loses what it is told to', async () => {
  const { send, heard, towardsRouter } = connected();
  towardsRouter.tamper = (message) =>
    message.toString() === 'lose' ? undefined : Buffer.from(`${message.toString()}!`);
  send('a', 'lose', 'b');
  await turn();
  assert.deepEqual(heard, ['a!', 'b!']);
  assert.equal(towardsRouter.delivered, 3);
});

void test('a close arrives after what was sent before it; a cut takes that along', async () => {
  const closing = connected();
  closing.send('last');
  closing.agent.close(4010, 'going away');
  closing.send('too late');
  await turn();
  assert.deepEqual(closing.heard, ['last', 'close 4010 going away']);
  assert.deepEqual(closing.said, ['close 4010 ']);
  const cut = connected();
  cut.send('under way');
  cut.cut();
  await turn();
  await turn();
  assert.deepEqual([cut.heard, cut.said], [['close 1006 '], ['close 1006 ']]);
});

void test('a terminated end takes the other with it', async () => {
  const { agent, heard, said } = connected();
  agent.terminate();
  agent.terminate();
  await turn();
  await turn();
  assert.deepEqual([heard, said], [['close 1006 '], ['close 1006 ']]);
});
