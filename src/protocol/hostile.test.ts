/** A peer that breaks the protocol is cut off with a reason, whatever end it plays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../testing/fakeClock.ts';
import { endOf, helloOf, openOf, welcome, challenge } from '../testing/links/linkPair.ts';
import { frames, rawAgainstAgent, rawAgainstRouter } from '../testing/links/rawLink.ts';
import type { RawAgainstAgent, RawAgainstRouter } from '../testing/links/rawLink.ts';
import type { LinkCloseReason } from './link.ts';
import { closeCodes } from './wire/closeCode.ts';
import { encodeCredit, encodePing } from './wire/frame.ts';
import { encodeReset } from './wire/resetCode.ts';

const { of, control } = frames;
const KiB16 = Buffer.alloc(16 * 1024);
const credit = (stream: number, bytes: number): Buffer => encodeCredit({ stream, bytes });
const cancel = (stream: number): Buffer => encodeReset({ stream, code: 'cancelled', detail: '' });

interface Case {
  reason?: LinkCloseReason;
  detail: RegExp;
}

function verdict(raw: RawAgainstRouter | RawAgainstAgent, expected: Case): void {
  const { reason = 'protocol_error', detail } = expected;
  assert.equal(raw.closed.length, 1, 'closed once');
  assert.equal(raw.closed[0]?.reason, reason);
  assert.equal(raw.closed[0]?.by, 'us');
  assert.match(raw.closed[0]?.detail ?? '', detail);
  assert.equal(raw.transport.closes[0]?.code, closeCodes[reason]);
  assert.match(raw.transport.closes[0]?.reason ?? '', detail);
  assert.equal(raw.peer.openStreams(), 0);
  // Whatever follows is not looked at.
  const before = raw.control.length;
  raw.deliver(control({ type: 'goaway', reason: 'draining' }), Buffer.from('garbage'));
  assert.equal(raw.control.length, before);
  assert.equal(raw.closed.length, 1);
}

type AgentAttack = [string, Case, (raw: RawAgainstRouter) => void];

const fromAgent: AgentAttack[] = [
  ['an empty message', { detail: /empty message/ }, (raw) => raw.deliver(Buffer.alloc(0))],
  ['a header cut short', { detail: /truncated header/ }, (raw) => raw.deliver(Buffer.alloc(8, 6))],
  [
    'a payload cut short',
    { detail: /truncated payload/ },
    (raw) => raw.deliver(of('heartbeat', 0, 'xxxx').subarray(0, -1)),
  ],
  [
    'a frame over 16 KiB',
    { detail: /oversized frame/ },
    (raw) => raw.deliver(Buffer.from('060000000000400100', 'hex'), Buffer.alloc(16_385)),
  ],
  [
    'a message over the bound',
    { detail: /oversized message/ },
    (raw) => raw.deliver(Buffer.alloc(2 ** 20 + 1)),
  ],
  [
    'an unknown frame type',
    { detail: /unknown frame type 99/ },
    (raw) => raw.deliver(Buffer.from('630000000000000000', 'hex')),
  ],
  ['a second HELLO', { detail: /hello/ }, (raw) => raw.deliver(control(helloOf()))],
  ['a router’s message', { detail: /config/ }, (raw) => raw.deliver(of('config', 0, '{}'))],
  ['an OPEN', { detail: /open on a stream/ }, (raw) => raw.deliver(frames.open(1))],
  ['control that is not JSON', { detail: /grant/ }, (raw) => raw.deliver(of('grant', 0, '{'))],
  [
    'control that breaks its schema',
    { detail: /grant instances: invalid_type/ },
    (raw) => raw.deliver(of('grant', 0, '{"instances":5}')),
  ],
  ['an unknown flag', { detail: /flags 4/ }, (raw) => raw.deliver(of('grant', 0, '{}', 4))],
  [
    'control in parts without end',
    { detail: /grant too long/ },
    (raw) => {
      for (let n = 0; n < 65; n += 1) raw.deliver(of('grant', 0, KiB16, 2));
    },
  ],
  ['a malformed PING', { detail: /malformed ping/ }, (raw) => raw.deliver(of('ping', 0, 'xxxxx'))],
  [
    'DATA on a stream that was never opened',
    { detail: /stream 7, which is not open/ },
    (raw) => raw.deliver(of('data', 7, 'x')),
  ],
  ['DATA on stream 0', { detail: /stream 0/ }, (raw) => raw.deliver(of('data', 0, 'x'))],
  [
    'DATA on a stream that has ended',
    { detail: /stream 1, which is not open/ },
    (raw) => {
      raw.open();
      raw.deliver(frames.head(1), frames.end(1), of('data', 1, 'x'));
    },
  ],
  ['DATA before HEAD', { detail: /DATA before HEAD/ }, attack(of('data', 1, 'x'))],
  ['empty DATA', { detail: /empty/ }, attack(frames.head(1), of('data', 1))],
  ['DATA with FIN', { detail: /flagged/ }, attack(frames.head(1), of('data', 1, 'x', 1))],
  ['a second HEAD', { detail: /second HEAD/ }, attack(frames.head(1), frames.head(1))],
  ['END before HEAD', { detail: /END before HEAD/ }, attack(frames.end(1))],
  [
    'END of another request',
    { detail: /another request/ },
    attack(frames.head(1), frames.end(1, endOf({ requestId: 'req_2' }))),
  ],
  ['END with broken trailers', { detail: /end requestId/ }, attack(of('end', 1, '{}'))],
  ['HEAD with a status of none', { detail: /head status/ }, attack(of('head', 1, '{"status":99}'))],
  [
    'a stream that overruns its credit',
    { reason: 'credit_overrun', detail: /stream 1 overran/ },
    (raw) => {
      raw.open().reading = false;
      raw.deliver(frames.head(1), ...Array<Buffer>(16).fill(of('data', 1, KiB16)));
      assert.equal(raw.closed.length, 0, 'the credit itself may be used');
      raw.deliver(of('data', 1, 'x'));
    },
  ],
  ['credit beyond the window', { detail: /beyond the window/ }, attack(credit(1, 1))],
  ['a credit of nothing', { detail: /malformed credit/ }, attack(of('credit', 1, '\0\0\0\0'))],
  ['a RESET without a code', { detail: /malformed reset/ }, attack(of('reset', 1))],
  [
    'a RESET of a stream that was never opened',
    { detail: /not open/ },
    (raw) => raw.deliver(cancel(1)),
  ],
  [
    'a flood of PING',
    { detail: /flood of control frames/ },
    (raw) => {
      const pings = Buffer.concat(Array(1000).fill(encodePing({ type: 'ping', counter: 1 })));
      for (let n = 0; n < 5; n += 1) raw.deliver(pings);
    },
  ],
  [
    'a flood of control bytes',
    { detail: /flood of control bytes/ },
    (raw) => {
      const text = 'x'.repeat(4000);
      const line = { atMs: 1, level: 'info', source: 'agent', text } as const;
      const log = control({ type: 'log', lines: Array(200).fill(line), dropped: 0 });
      for (let n = 0; n < 11; n += 1) raw.deliver(log);
    },
  ],
];

/** Sends frames at a stream that the router has opened. */
function attack(...parts: Buffer[]): (raw: RawAgainstRouter) => void {
  return (raw) => {
    raw.open();
    raw.deliver(...parts);
  };
}

for (const [name, expected, act] of fromAgent) {
  void test(`router: ${name} closes the link with a reason`, () => {
    const raw = rawAgainstRouter();
    act(raw);
    verdict(raw, expected);
  });
}

type RouterAttack = [string, Case, (raw: RawAgainstAgent) => void];

const fromRouter: RouterAttack[] = [
  ['an agent’s message', { detail: /grant/ }, (raw) => raw.deliver(of('grant', 0, '{}'))],
  ['a second CHALLENGE', { detail: /challenge/ }, (raw) => raw.deliver(control(challenge))],
  ['a second WELCOME', { detail: /welcome/ }, (raw) => raw.deliver(control(welcome))],
  ['a HEAD', { detail: /head on a stream/ }, (raw) => raw.deliver(frames.head(1))],
  ['a broken OPEN', { detail: /open requestId/ }, (raw) => raw.deliver(of('open', 1, '{}'))],
  [
    'an OPEN of an open stream',
    { detail: /was there before/ },
    (raw) => raw.deliver(frames.open(1), frames.open(1)),
  ],
  [
    'an OPEN of an older stream',
    { detail: /was there before/ },
    (raw) => raw.deliver(frames.open(5), frames.open(4)),
  ],
  [
    'a frame on a stream that was never opened',
    { detail: /never opened/ },
    (raw) => raw.deliver(of('data', 3, 'x')),
  ],
  [
    'DATA after the end of the body',
    { detail: /after the end of the body/ },
    (raw) => raw.deliver(frames.open(1), of('data', 1, 'x', 1), of('data', 1, 'x')),
  ],
  [
    'a body that overruns its credit',
    { reason: 'credit_overrun', detail: /overran/ },
    (raw) => {
      raw.deliver(frames.open(1));
      const request = raw.requests[0] ?? assert.fail();
      request.reading = false;
      for (let n = 0; n < 64; n += 1) raw.deliver(of('data', 1, KiB16));
      assert.equal(raw.closed.length, 0);
      raw.deliver(of('data', 1, 'x'));
    },
  ],
  [
    'a flood of OPEN',
    { reason: 'too_many_streams', detail: /more than 4096/ },
    (raw) => {
      for (let id = 1; id <= 4097; id += 1) raw.deliver(frames.open(id));
      assert.equal(raw.requests.length, 4096);
    },
  ],
  [
    'a second RESET',
    { detail: /second RESET/ },
    (raw) => raw.deliver(frames.open(1), cancel(1), cancel(1)),
  ],
  [
    'more body for finished streams than was under way',
    { detail: /finished streams/ },
    (raw) => {
      raw.deliver(frames.open(1));
      raw.requests[0]?.stream.reset('refused');
      for (let n = 0; n < 64; n += 1) raw.deliver(of('data', 1, KiB16));
      assert.equal(raw.closed.length, 0, 'what was under way is forgiven');
      raw.deliver(of('data', 1, 'x'));
    },
  ],
  [
    'a flood of small frames for finished streams',
    { detail: /finished streams/ },
    (raw) => {
      raw.deliver(frames.open(1));
      raw.requests[0]?.stream.reset('refused');
      for (let n = 0; n < 9; n += 1) raw.deliver(credit(1, 5));
    },
  ],
];

for (const [name, expected, act] of fromRouter) {
  void test(`agent: ${name} closes the link with a reason`, () => {
    const raw = rawAgainstAgent();
    act(raw);
    verdict(raw, expected);
  });
}

void test('router: whatever comes before HELLO closes the link', () => {
  const early = [
    of('grant', 0, '{"instances":[]}'),
    frames.head(1),
    of('data', 1, 'x'),
    credit(1, 5),
    encodePing({ type: 'ping', counter: 1 }),
    of('hello', 0, '{"versions"', 2),
  ];
  for (const frame of early) {
    const raw = rawAgainstRouter({ handshake: false });
    raw.deliver(frame);
    verdict(raw, { detail: /./ });
    assert.deepEqual(raw.control, []);
  }
});

void test('agent: whatever comes before CHALLENGE and WELCOME closes the link', () => {
  const early = [frames.open(1), control(welcome), encodePing({ type: 'ping', counter: 1 })];
  for (const frame of early) {
    const raw = rawAgainstAgent({ handshake: false });
    raw.deliver(frame);
    verdict(raw, { detail: /./ });
  }
  const raw = rawAgainstAgent({ handshake: false });
  raw.deliver(control(challenge));
  raw.deliver(frames.open(1, openOf()));
  verdict(raw, { detail: /before the handshake/ });
  assert.deepEqual(raw.requests, []);
});

void test('a peer that never reads is closed before unsent frames fill the memory', async () => {
  const raw = rawAgainstRouter();
  raw.transport.unread = 2 ** 30;
  const ids = Array<string>(256).fill('r'.repeat(60));
  for (let n = 0; n < 300 && raw.closed.length === 0; n += 1) {
    raw.peer.send({ type: 'ack', requestIds: ids });
  }
  assert.equal(raw.closed[0]?.reason, 'too_slow');
});

void test('router: credit that was given back may be used to the byte, and not beyond', () => {
  const raw = rawAgainstRouter();
  raw.open();
  raw.deliver(frames.head(1), ...Array<Buffer>(16).fill(of('data', 1, KiB16)));
  const answer = raw.open();
  answer.reading = false;
  raw.deliver(frames.head(2), ...Array<Buffer>(8).fill(of('data', 2, KiB16)));
  answer.stream?.consumed(8 * KiB16.length);
  raw.deliver(...Array<Buffer>(16).fill(of('data', 2, KiB16)));
  assert.equal(raw.closed.length, 0);
  raw.deliver(of('data', 2, 'x'));
  verdict(raw, { reason: 'credit_overrun', detail: /stream 2 overran/ });
});

void test('what stands behind a violation in the same message is not read', () => {
  const raw = rawAgainstAgent();
  const before = raw.control.length;
  raw.deliver(of('data', 3, 'x'), control({ type: 'goaway', reason: 'dead' }), frames.open(1));
  assert.equal(raw.control.length, before);
  assert.deepEqual(raw.requests, []);
  verdict(raw, { detail: /never opened/ });
});

void test('many control frames over a long time are no flood', async () => {
  const clock = new FakeClock();
  const raw = rawAgainstRouter({ clock });
  const pings = Buffer.concat(Array(4000).fill(encodePing({ type: 'ping', counter: 1 })));
  for (let n = 0; n < 5; n += 1) {
    raw.deliver(pings);
    await clock.advanceAsync(5000);
  }
  assert.deepEqual(raw.closed, []);
});

void test('a closed link whose transport has closed leaves no timer', () => {
  const clock = new FakeClock();
  const raw = rawAgainstRouter({ clock });
  raw.peer.close('shutting_down');
  assert.equal(clock.pendingTimers, 1);
  raw.transport.handlers?.onClose(1000, '');
  assert.equal(clock.pendingTimers, 0);
  assert.equal(raw.closed.length, 1);
});

void test('a closed link whose transport lingers is cut after its grace', () => {
  const clock = new FakeClock();
  const raw = rawAgainstRouter({ clock });
  raw.deliver(Buffer.from('garbage'));
  clock.advance(999);
  assert.equal(raw.transport.terminated, 0);
  clock.advance(1);
  assert.equal(raw.transport.terminated, 1);
  assert.equal(clock.pendingTimers, 0);
});

void test('a writer that ignores back-pressure loses its stream, not the link', () => {
  const raw = rawAgainstAgent();
  raw.deliver(frames.open(1), of('data', 1, '', 1));
  const request = raw.requests[0] ?? assert.fail();
  request.stream.head({ status: 200, contentType: 'a/b' });
  for (let n = 0; n < 200; n += 1) request.stream.write(KiB16);
  assert.equal(request.resets[0]?.code, 'too_slow');
  assert.equal(request.resets.length, 1);
  assert.equal(raw.closed.length, 0);
  assert.equal(raw.peer.openStreams(), 0);
});

void test('stream ids go around the 32 bits', () => {
  const raw = rawAgainstAgent();
  const around = [2 ** 31 - 1, 2 ** 32 - 3, 2 ** 32 - 1, 1, 2];
  for (const id of around) raw.deliver(frames.open(id));
  assert.equal(raw.requests.length, around.length);
  assert.deepEqual(raw.closed, []);
});
