import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../testing/fakeClock.ts';
import { challenge, welcome } from '../../testing/links/linkPair.ts';
import { frames, rawAgainstAgent, rawAgainstRouter } from '../../testing/links/rawLink.ts';
import type { RawAgainstAgent, RawAgainstRouter } from '../../testing/links/rawLink.ts';
import type { RouterControl } from '../messages/routerControl.ts';
import { encodePing, frameType } from '../wire/frame.ts';

const ping = encodePing({ type: 'ping', counter: 7 });

/** Two turns of the event loop: what is judged after pending input has been judged. */
async function turns(count = 4): Promise<void> {
  for (let n = 0; n < count; n += 1) await new Promise((resolve) => setImmediate(resolve));
}

function pingsOf(raw: RawAgainstRouter | RawAgainstAgent): number[] {
  const pings = raw.transport.frames().filter((frame) => frame.type === frameType.ping);
  return pings.map((frame) => frame.payload.readUInt32BE(0));
}

for (const [end, connect] of [
  ['router', rawAgainstRouter],
  ['agent', rawAgainstAgent],
] as const) {
  void test(`${end}: a silent peer is dead after 30 s, not before`, async () => {
    const clock = new FakeClock();
    const raw = connect({ clock });
    await clock.advanceAsync(29_999);
    assert.equal(raw.closed.length, 0);
    await clock.advanceAsync(1);
    await turns();
    const detail = 'no frame for 30000 ms';
    assert.deepEqual(raw.closed, [{ reason: 'silent', detail, by: 'us' }]);
    clock.advance(5000);
    assert.equal(clock.pendingTimers, 0);
  });

  void test(`${end}: any frame is a sign of life`, async () => {
    const clock = new FakeClock();
    const raw = connect({ clock });
    for (let n = 0; n < 10; n += 1) {
      await clock.advanceAsync(29_000);
      raw.deliver(ping);
    }
    assert.equal(raw.closed.length, 0);
    assert.equal(raw.peer.lastFrameAtMs(), 290_000);
  });

  void test(`${end}: PING goes at once, then every 5 s, each with its own number`, async () => {
    const clock = new FakeClock();
    const raw = connect({ clock });
    await clock.advanceAsync(14_999);
    assert.deepEqual(pingsOf(raw), [1, 2, 3]);
    await clock.advanceAsync(1);
    assert.deepEqual(pingsOf(raw), [1, 2, 3, 4]);
  });

  void test(`${end}: a peer that never ends its handshake is closed after 10 s`, async () => {
    const clock = new FakeClock();
    const raw = connect({ clock, handshake: false });
    await clock.advanceAsync(9999);
    assert.equal(raw.closed.length, 0);
    await clock.advanceAsync(1);
    await turns();
    assert.equal(raw.closed[0]?.reason, 'silent');
    assert.match(raw.closed[0]?.detail ?? '', /handshake/);
  });

  void test(`${end}: a blocked event loop does not kill a live link`, async () => {
    const clock = new FakeClock();
    const raw = connect({ clock });
    await clock.advanceAsync(1000);
    clock.freeze(60_000);
    await turns();
    assert.equal(raw.closed.length, 0, 'the time slept through is not silence');
    raw.deliver(ping);
    await clock.advanceAsync(29_999);
    assert.equal(raw.closed.length, 0);
    await clock.advanceAsync(1);
    await turns();
    assert.equal(raw.closed[0]?.reason, 'silent');
  });
}

const spans: [string, number, number, number, number][] = [
  ['what the router told', 500, 3000, 500, 3000],
  ['nothing shorter than is sensible', 1, 1, 100, 1000],
  ['nothing longer than its own', 60_000, 3_600_000, 5000, 30_000],
];
for (const [what, ping, silent, pingIntervalMs, silentAfterMs] of spans) {
  void test(`agent: it keeps to ${what}`, async () => {
    const clock = new FakeClock();
    const raw = rawAgainstAgent({ clock, handshake: false });
    raw.deliver(frames.control(challenge));
    await clock.advanceAsync(700);
    const told = { ...welcome, pingIntervalMs: ping, silentAfterMs: silent };
    raw.deliver(frames.control(told as RouterControl));
    await clock.advanceAsync(pingIntervalMs - 1);
    assert.deepEqual(pingsOf(raw), [1]);
    await clock.advanceAsync(1);
    assert.deepEqual(pingsOf(raw), [1, 2]);
    await clock.advanceAsync(silentAfterMs - pingIntervalMs - 1);
    await turns();
    assert.equal(raw.closed.length, 0);
    await clock.advanceAsync(1);
    await turns();
    assert.equal(raw.closed[0]?.reason, 'silent');
    clock.advance(5000);
    assert.equal(clock.pendingTimers, 0);
  });
}

void test('input that was pending when the verdict fell due is read first', async () => {
  const clock = new FakeClock();
  const raw = rawAgainstRouter({ clock });
  clock.advance(30_000);
  // As the poll phase would: after the timer, before the verdict.
  raw.deliver(ping);
  await turns();
  assert.equal(raw.closed.length, 0);
  await clock.advanceAsync(29_999);
  assert.equal(raw.closed.length, 0);
});

void test('a link that was closed while its verdict was pending is closed once', async () => {
  const clock = new FakeClock();
  const raw = rawAgainstRouter({ clock });
  clock.advance(30_000);
  raw.deliver(ping);
  raw.peer.close('shutting_down');
  raw.transport.handlers?.onClose(1000, '');
  await turns();
  assert.equal(clock.pendingTimers, 0);
  assert.deepEqual(
    raw.closed.map(({ reason }) => reason),
    ['shutting_down'],
  );
});

void test('the round trip is smoothed, and only the last PING counts', async () => {
  const clock = new FakeClock();
  const raw = rawAgainstRouter({ clock });
  const pong = (counter: number): void => raw.deliver(encodePing({ type: 'pong', counter }));
  assert.equal(raw.peer.rttMs(), undefined);
  await clock.advanceAsync(80);
  pong(99);
  assert.equal(raw.peer.rttMs(), undefined);
  pong(1);
  assert.equal(raw.peer.rttMs(), 80);
  pong(1);
  await clock.advanceAsync(4920);
  await clock.advanceAsync(160);
  pong(1);
  assert.equal(raw.peer.rttMs(), 80);
  pong(2);
  assert.equal(raw.peer.rttMs(), 90);
});

void test('a PING is answered with its own number', async () => {
  const raw = rawAgainstAgent();
  raw.deliver(encodePing({ type: 'ping', counter: 0xdead_beef }));
  await turns();
  const pongs = raw.transport.frames().filter((frame) => frame.type === frameType.pong);
  assert.deepEqual(
    pongs.map((frame) => frame.payload.readUInt32BE(0)),
    [0xdead_beef],
  );
});
