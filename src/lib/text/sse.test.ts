import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSseEvent, SseSplitter } from './sse.ts';

function split(chunks: Buffer[], maxEventBytes = 1000) {
  const events: string[] = [];
  const onEvent = (event: Buffer): unknown => events.push(event.toString('utf8'));
  const splitter = new SseSplitter({ maxEventBytes, onEvent });
  const outcomes = chunks.map((chunk) => splitter.push(chunk));
  return { events, outcomes, rest: splitter.finish()?.toString('utf8'), splitter };
}

test('events come out whole wherever the bytes are cut, in all three line endings', () => {
  const line = fc.constantFrom('data: {"a":"ü€😀"}', 'event: x', ': note', 'data:', 'id: 7');
  const event = fc.array(line, { minLength: 1, maxLength: 4 });
  const cuts = fc.array(fc.nat({ max: 400 }), { maxLength: 60 });
  const ends = fc.constantFrom('\n', '\r\n', '\r');
  fc.assert(
    fc.property(fc.array(event, { maxLength: 8 }), ends, cuts, (events, end, at) => {
      const sent = events.map((lines) => lines.join(end));
      const bytes = Buffer.from(sent.map((text) => text + end + end).join(''));
      const places = [0, ...at.filter((n) => n < bytes.length), bytes.length];
      places.sort((a, b) => a - b);
      const chunks = places.slice(1).map((to, n) => bytes.subarray(places[n], to));
      assert.deepEqual(split(chunks).events, sent);
    }),
  );
});

test('an event is given on at its blank line, not at the next byte', () => {
  const { events } = split([Buffer.from('data: 1\r\n\r')]);
  assert.deepEqual(events, ['data: 1']);
  const after = split([Buffer.from('data: 1\r\n\r'), Buffer.from('\ndata: 2\n\n')]);
  assert.deepEqual(after.events, ['data: 1', 'data: 2']);
});

test('mixed line endings do not hide or invent a blank line', () => {
  const { events } = split([Buffer.from('a: 1\r\nb: 2\n\r\nc: 3\r\rd: 4\n\n\n\ne: 5\n\r')]);
  assert.deepEqual(events, ['a: 1\r\nb: 2', 'c: 3', 'd: 4', 'e: 5']);
});

test('an event over the bound ends the reading, and nothing is held any more', () => {
  const big = split([Buffer.from('data: 1\n\n'), Buffer.alloc(600, 97), Buffer.alloc(600, 97)]);
  assert.deepEqual(big.outcomes, ['ok', 'ok', 'event_too_large']);
  assert.deepEqual(big.events, ['data: 1']);
  assert.equal(big.splitter.pendingBytes, 0);
  assert.equal(big.splitter.push(Buffer.from('data: 2\n\n')), 'event_too_large');
  const whole = split([Buffer.from(`${'x'.repeat(1001)}\n\n`)]);
  assert.deepEqual(whole.outcomes, ['event_too_large']);
});

test('the last event of an engine that leaves out the last blank line is not lost', () => {
  assert.equal(split([Buffer.from('data: 1\n\ndata: [DONE]\n')]).rest, 'data: [DONE]');
  assert.equal(split([Buffer.from('data: 1\n\n\r\n')]).rest, undefined);
});

test('a byte order mark before the first event is not part of it', () => {
  assert.deepEqual(split([Buffer.from('\u{feff}data: 1\n\n')]).events, ['data: 1']);
});

test('fields are read as the standard says', () => {
  const raw = Buffer.from('event: delta\r\ndata: a\r\ndata:b\r\n: note\r\ndata\r\nid: 1');
  assert.deepEqual(parseSseEvent(raw), { name: 'delta', data: 'a\nb\n', id: '1' });
  const ping = { name: 'message', data: undefined, id: undefined };
  assert.deepEqual(parseSseEvent(Buffer.from(': ping')), ping);
});
