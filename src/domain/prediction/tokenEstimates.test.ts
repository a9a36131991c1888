import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TokenEstimates, type RequestSize } from './tokenEstimates.ts';

const size = (over: Partial<RequestSize> = {}): RequestSize => ({
  endpointId: 'ep_a',
  bodyBytes: 4000,
  maxTokens: null,
  contextLength: null,
  hasMedia: false,
  ...over,
});

const usual = (estimates: TokenEstimates, of: RequestSize): number => estimates.need(of).usual;

test('before anything is known, more is set aside than an answer may have', () => {
  const estimates = new TokenEstimates();
  assert.equal(usual(estimates, size()), 1000 + 4096);
  assert.equal(usual(estimates, size({ maxTokens: 16 })), 1016);
  assert.equal(usual(estimates, size({ contextLength: 512 })), 1024);
});

test('a language with longer or shorter tokens is counted as English for ever', () => {
  const estimates = new TokenEstimates();
  for (let at = 0; at < 100; at += 1) {
    estimates.learn('ep_a', { bodyBytes: 4000, input: 2000, output: 10 });
  }
  const prompt = usual(estimates, size({ maxTokens: 1 })) - 1;
  assert.ok(Math.abs(prompt - 2000) < 50, `${prompt}`);
  assert.equal(usual(estimates, size({ endpointId: 'ep_b', maxTokens: 1 })), 1001);
});

test('one long answer among many short ones makes all of them expensive', () => {
  const estimates = new TokenEstimates();
  for (let at = 0; at < 100; at += 1) {
    const output = at % 20 === 0 ? 4000 : 60;
    estimates.learn('ep_a', { bodyBytes: 4000, input: 1000, output });
  }
  const output = usual(estimates, size()) - 1000;
  assert.ok(output >= 60 && output <= 91, `${output}`);
});

test('what answers were like long ago outweighs what they are like now', () => {
  const estimates = new TokenEstimates();
  const learn = (output: number, times: number): void => {
    for (let at = 0; at < times; at += 1) {
      estimates.learn('ep_a', { bodyBytes: 4000, input: 1000, output });
    }
  };
  learn(2000, 5000);
  learn(16, 700);
  assert.ok(usual(estimates, size()) < 1000 + 64);
});

test('an endpoint with an absurd answer sets more aside than the bound', () => {
  const estimates = new TokenEstimates();
  estimates.learn('ep_a', { bodyBytes: 4000, input: 1000, output: 1_000_000 });
  assert.equal(usual(estimates, size()), 1000 + 4096);
});

test('every endpoint that ever was is remembered', () => {
  const estimates = new TokenEstimates();
  estimates.learn('ep_first', { bodyBytes: 4000, input: 4000, output: 1 });
  for (let at = 0; at < 10_000; at += 1) {
    estimates.learn(`ep_${at}`, { bodyBytes: 4000, input: 4000, output: 1 });
  }
  const forgotten = size({ endpointId: 'ep_first', maxTokens: 1 });
  assert.equal(usual(estimates, forgotten), 1001);
});

test('a guess about the answer makes a request larger than what it asks for', () => {
  const estimates = new TokenEstimates();
  const [free, short] = [estimates.need(size()), estimates.need(size({ maxTokens: 50 }))];
  assert.deepEqual(free, { prompt: 1000, answer: 256, usual: 5096, least: 1001 });
  assert.deepEqual(short, { prompt: 1000, answer: 50, usual: 1050, least: 1050 });
});
