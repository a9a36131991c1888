import assert from 'node:assert/strict';
import test from 'node:test';
import { tokenKind } from './wireUsage.ts';

const chunk = (delta: object, reason: string | null = null): Parameters<typeof tokenKind>[0] => ({
  choices: [{ index: 0, delta, finish_reason: reason }],
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
  assert.equal(tokenKind({ choices: [{ index: 0, text: 'a', finish_reason: null }] }), 'seen');
});
