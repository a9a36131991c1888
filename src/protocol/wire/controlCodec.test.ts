import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { endSchema } from '../messages/end.ts';
import type { AgentControl } from '../messages/agentControl.ts';
import { agentControlReader, decodeJson, encodeControl, frameName } from './controlCodec.ts';
import { decodeFrames, frameFlag, type Frame, type FrameName } from './frame.ts';

function readAll(message: AgentControl, maxControlBytes = 2 ** 20) {
  const reader = agentControlReader(maxControlBytes);
  const frames = encodeControl(message).flatMap((bytes) => decodeFrames(bytes) as Frame[]);
  return frames.map((frame) =>
    reader.read({
      name: frameName(frame.type) as FrameName,
      more: frame.flags === frameFlag.more,
      payload: frame.payload,
    }),
  );
}

const logOf = (texts: string[]): AgentControl => ({
  type: 'log',
  lines: texts.map((text) => ({ atMs: 1, level: 'info', source: 'agent', text })),
  dropped: 0,
});

test('a message of any size is read as what was sent', () => {
  const texts = fc.array(fc.string({ unit: 'binary', maxLength: 4000 }), { maxLength: 40 });
  fc.assert(
    fc.property(texts, (lines) => {
      const message = logOf(lines.map((line) => line.slice(0, 4000)));
      assert.deepEqual(readAll(message).at(-1), { kind: 'message', message });
    }),
    { numRuns: 50 },
  );
});

test('parts are held up to the bound and not beyond', () => {
  const message = logOf(Array(20).fill('x'.repeat(4000)));
  const outcomes = readAll(message, 40_000).map((outcome) => outcome.kind);
  assert.deepEqual(outcomes.slice(0, 3), ['incomplete', 'incomplete', 'bad']);
});

test('a payload cannot say that it is another message than its frame', () => {
  const reader = agentControlReader(1000);
  const payload = Buffer.from(JSON.stringify({ type: 'hello', reason: 'draining' }));
  assert.deepEqual(reader.read({ name: 'goaway', more: false, payload }), {
    kind: 'message',
    message: { type: 'goaway', reason: 'draining' },
  });
});

test('what is not the schema is bad and says where, without repeating it', () => {
  const read = (name: FrameName, json: string) =>
    agentControlReader(1000).read({ name, more: false, payload: Buffer.from(json) });
  assert.deepEqual(read('token', '{"accessToken":5}'), {
    kind: 'bad',
    detail: 'token accessToken: invalid_type',
  });
  for (const json of ['', '{', '[]', 'null', '"x"', '1', '\xff']) {
    assert.equal(read('token', json).kind, 'bad', json);
  }
  const deep = '['.repeat(100_000);
  assert.deepEqual(decodeJson(endSchema, Buffer.from(deep)), { kind: 'bad', detail: 'not JSON' });
  assert.equal(read('token', '{"__proto__":{"accessToken":"x"}}').kind, 'bad');
});

test('a part of one message inside of another is refused', () => {
  const reader = agentControlReader(1000);
  const part = { name: 'log', more: true, payload: Buffer.from('{') } as const;
  assert.equal(reader.read(part).kind, 'incomplete');
  assert.deepEqual(reader.read({ ...part, name: 'token' }), {
    kind: 'bad',
    detail: 'token inside log',
  });
});
