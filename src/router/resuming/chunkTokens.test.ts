import assert from 'node:assert/strict';
import test from 'node:test';
import type { EndMessage } from '../../protocol/messages/end.ts';
import { maxChunkCounters } from '../limits.ts';
import { ChunkTokens } from './chunkTokens.ts';

const end = (output: number, written?: number): EndMessage => ({
  requestId: 'req',
  usage: { input: 1, cached: 0, output },
  ...(written === undefined ? {} : { written }),
  timings: { totalMs: 1 },
  outcome: 'completed',
});
const one = { agentId: 'a', instance: 'i' };

test('the end of a text, or one long word, is taken for several tokens at once', () => {
  const tokens = new ChunkTokens();
  assert.equal(tokens.of(one), 1);
  tokens.learn(one, end(18, 16));
  tokens.learn(one, end(12, 4));
  tokens.learn(one, end(60));
  tokens.learn(one, undefined);
  assert.equal(tokens.of(one), 1);
  for (let n = 0; n < 30; n += 1) tokens.learn(one, end(60, 20));
  assert.ok(Math.abs(tokens.of(one) - 3) < 0.02);
  // Another agent that says that it has the same one is another one.
  assert.equal(tokens.of({ ...one, agentId: 'b' }), 1);
});

test('an agent that lies about its chunks uses up an answer, or all memory', () => {
  const tokens = new ChunkTokens();
  tokens.learn(one, end(1e9, 16));
  assert.equal(tokens.of(one), 16);
  tokens.learn(one, end(0, 1e9));
  assert.ok(tokens.of(one) >= 1);
  for (let n = 0; n < maxChunkCounters; n += 1) {
    tokens.learn({ agentId: 'c', instance: `i${n}` }, end(40, 20));
  }
  assert.equal(tokens.of(one), 1, 'it was the first to be forgotten');
  assert.equal(tokens.of({ agentId: 'c', instance: 'i1' }), 2);
});
