import assert from 'node:assert/strict';
import { test } from 'node:test';
import { promptLength, promptTokens } from './promptTokens.ts';

test('a prompt comes to nothing, to a part of it, to a share though counted, or too much', () => {
  const cases: [what: string, counted: number, sent: number, of: [number, number], is: number][] = [
    ['one tokenizer, an equal share', 1200, 200, [4000, 0.83], 1000],
    ['one tokenizer, a share that is far too low', 1200, 200, [500, 0.3], 1000],
    ['one tokenizer, a prompt with fewer tokens to the byte', 1200, 800, [2400, 0.6], 400],
    ['one tokenizer, prose before figures of a token each', 2461, 2398, [286, 0.11], 63],
    ['one tokenizer, a template of which nothing is in the body', 1030, 1000, [40, 0.01], 30],
    ['the second makes a little less of what was sent', 360, 230, [640, 0.45], 130],
    ['the second makes so little of it that a fifth is left', 360, 330, [640, 0.45], 162],
    ['the second makes so little of it that nothing is left', 400, 400, [640, 0.4], 160],
    ['the second makes so little of it that less is counted', 150, 400, [240, 0.4], 60],
    ['the second makes more of it', 500, 200, [640, 0.4], 300],
    ['nothing was sent', 50, 0, [200, 1], 50],
    ['hardly anything but the answer', 150, 400, [4, 0.001], 1],
    ['nothing was counted', 0, 60, [200, 0.5], 0],
  ];
  for (const [what, counted, sentTokens, [promptBytes, promptShare], is] of cases) {
    assert.equal(promptTokens(counted, { sentTokens, promptBytes, promptShare }), is, what);
  }
});

test('an image in the body makes all that was counted the prompt’s', () => {
  const text = { type: 'text', text: 'x'.repeat(900) };
  const url = `data:image/png;base64,${'A'.repeat(1e6)}`;
  const messages = [{ role: 'user', content: [text, { type: 'image_url', image_url: { url } }] }];
  const { promptShare: share } = promptLength(messages, 'y'.repeat(1000));
  assert.ok(share > 0.45 && share < 0.55, `${share}`);
  assert.ok(promptLength(undefined, 'y'.repeat(1000)).promptShare < 0.01);
});
