import assert from 'node:assert/strict';
import test from 'node:test';
import { tokenKind, WrittenTokens } from './wireUsage.ts';

const chunk = (delta: object, reason: string | null = null): Parameters<typeof tokenKind>[0] => ({
  choices: [{ index: 0, delta, finish_reason: reason }],
});

const text = (one: string, reason: string | null = null): Parameters<typeof tokenKind>[0] => ({
  choices: [{ index: 0, text: one, finish_reason: reason }],
});

test('a role, a reason or a count is taken for a token, or a part of a character for none', () => {
  assert.equal(tokenKind(chunk({ role: 'assistant', content: '' })), 'none');
  assert.equal(tokenKind(chunk({}, 'stop')), 'none');
  assert.equal(tokenKind(chunk({ content: '' }, 'stop')), 'none');
  assert.equal(tokenKind({ choices: [], usage: { prompt_tokens: 1 } }), 'none');
  assert.equal(tokenKind({ error: 'no' }), 'none');
  assert.equal(tokenKind(chunk({ content: '' })), 'unseen');
  assert.equal(tokenKind(chunk({ content: 'a' })), 'seen');
  assert.equal(tokenKind(chunk({ role: 'assistant', content: 'a' })), 'seen');
  assert.equal(tokenKind(chunk({ reasoning_content: 'a' })), 'seen');
  assert.equal(tokenKind(chunk({ tool_calls: [] })), 'seen');
  assert.equal(tokenKind(text('a')), 'seen');
  assert.equal(tokenKind(text('')), 'unseen');
  assert.equal(tokenKind(text('', 'length')), 'none');
});

test('an emoji counts as one token, or the parts of one that never came', () => {
  for (const shape of [(one: string) => chunk({ content: one }), (one: string) => text(one)]) {
    const written = new WrittenTokens();
    for (const one of ['a', '', '', '👩', 'b', '', '']) written.take(shape(one));
    written.take(chunk({}, 'length'));
    assert.equal(written.count, 5);
  }
});
