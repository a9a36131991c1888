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
const project = 'p';

/** So many answers alike. */
function learn(
  tokens: ChunkTokens,
  answer: EndMessage | undefined,
  { times = 4, writer = one, of = project } = {},
): void {
  for (let n = 0; n < times; n += 1) tokens.learn(writer, of, answer);
}

test('the end of a text, or one long word, is taken for several tokens at once', () => {
  const tokens = new ChunkTokens();
  assert.equal(tokens.of(one, project), 1);
  for (const answer of [end(18, 16), end(12, 4), end(60), undefined]) learn(tokens, answer);
  assert.equal(tokens.of(one, project), 1);
  learn(tokens, end(60, 20), { times: 8 });
  assert.equal(tokens.of(one, project), 3);
  // Another agent that says that it has the same one is another one.
  assert.equal(tokens.of({ ...one, agentId: 'b' }, project), 1);
});

test('some answers of emoji, or another project’s, are taken for an engine that guesses', () => {
  const tokens = new ChunkTokens();
  learn(tokens, end(60, 20), { times: 20, of: 'other' });
  assert.equal(tokens.of(one, project), 1);
  learn(tokens, end(60, 20), { times: 3 });
  assert.equal(tokens.of(one, project), 1, 'too few to say');
  learn(tokens, end(40, 40), { times: 1 });
  learn(tokens, end(60, 20), { times: 7 });
  assert.equal(tokens.of(one, project), 1, 'one of eight was plain');
  learn(tokens, end(60, 20), { times: 1 });
  assert.equal(tokens.of(one, project), 3);
});

test('an agent that lies about its chunks uses up an answer, or all memory', () => {
  const tokens = new ChunkTokens();
  learn(tokens, end(1e9, 16));
  assert.equal(tokens.of(one, project), 16);
  learn(tokens, end(0, 1e9));
  assert.equal(tokens.of(one, project), 1);
  learn(tokens, end(40, 20), { times: 8 });
  assert.equal(tokens.of(one, project), 2);
  for (let n = 0; n < maxChunkCounters; n += 1) {
    learn(tokens, end(40, 20), { writer: { agentId: 'c', instance: `i${n}` } });
  }
  assert.equal(tokens.of(one, project), 1, 'it was the first to be forgotten');
  assert.equal(tokens.of({ agentId: 'c', instance: 'i1' }, project), 2);
});
