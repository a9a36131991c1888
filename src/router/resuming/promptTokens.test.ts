import assert from 'node:assert/strict';
import { test } from 'node:test';
import { promptTokens } from './promptTokens.ts';

test('a prompt comes to nothing, to an estimate though it was counted, or to too much', () => {
  const cases: [what: string, counted: number, sent: number, estimate: number, is: number][] = [
    ['one tokenizer, a fair estimate', 1200, 200, 1050, 1000],
    ['one tokenizer, an estimate that is a half too high', 1200, 200, 1500, 1000],
    ['one tokenizer, an estimate that is too low', 1200, 200, 300, 1000],
    ['one tokenizer, an estimate of a body that holds far more', 40, 30, 800, 10],
    ['one tokenizer, a prompt of one token', 31, 30, 40, 1],
    ['the second makes so little of it that what was sent is all', 400, 400, 160, 160],
    ['the second makes so little of it that nothing is left', 150, 400, 60, 60],
    ['an estimate above all that was counted', 50, 60, 200, 50],
    ['nothing was sent', 50, 0, 90, 50],
    ['nothing is known', 150, 400, 0, 1],
    ['nothing was counted', 0, 60, 200, 0],
  ];
  for (const [what, counted, sentTokens, estimate, is] of cases) {
    assert.equal(promptTokens(counted, { sentTokens, estimate }), is, what);
  }
});
