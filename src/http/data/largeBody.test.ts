/** Bodies that are large enough to be looked through where they lie. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { answerJson } from '../../testing/http/scriptedRouter.ts';
import { openHttpHarness, type HttpHarness } from '../../testing/http/httpHarness.ts';

let harness: HttpHarness;
let key: string;

before(async () => {
  harness = await openHttpHarness({ limits: { bodyBytes: 4 * 1024 * 1024 } });
  key = harness.credentials.apiKey;
});
after(() => harness.close());
beforeEach(() => {
  harness.router.submitted.length = 0;
  harness.router.answer = answerJson({ object: 'chat.completion' });
});

const chat = '/default/default/v1/chat/completions';
const prompt = 'Läng \\"prompt\\"\\n'.repeat(100_000);
const bodyOf = (content: string, rest = ''): string =>
  `{"messages":[{"role":"user","content":"${content}"}]${rest}}`;

test('a large body that reaches the router changed', async () => {
  const text = bodyOf(prompt, ',"stop":["a"],"response_format":{"type":"json_object"}');
  const reply = await harness.call('POST', chat, { key, body: text });
  assert.equal(reply.status, 200);
  const [request] = harness.router.submitted;
  assert.ok(request !== undefined);
  assert.ok(request.body.equals(Buffer.from(text)));
  assert.deepEqual(request.abilities, ['chat', 'json']);
});

test('a large body that is no JSON is taken', async () => {
  const wrong = {
    'a line end in the prompt': bodyOf(`${prompt}\n`),
    'an escape that is none': bodyOf(`${prompt}\\q`),
    'a prompt that does not end': bodyOf(prompt).slice(0, -8),
    'a quote too many': bodyOf(`${prompt}"`),
    'a comma too many': bodyOf(prompt, ','),
  };
  for (const [what, text] of Object.entries(wrong)) {
    const reply = await harness.call('POST', chat, { key, body: text });
    assert.equal(reply.status, 400, what);
    assert.equal((reply.json as { error: { code: unknown } }).error.code, null, what);
  }
  assert.equal(harness.router.submitted.length, 0);
});

test('a refusal that says of a long string what is not true', async () => {
  const text = bodyOf(prompt, `,"model":"${'m'.repeat(5_000)}"`);
  const reply = await harness.call('POST', chat, { key, body: text });
  const { error } = reply.json as { error: { param: string; message: string } };
  assert.equal(error.param, 'model');
  assert.match(error.message, /has 5000 characters/);
});
