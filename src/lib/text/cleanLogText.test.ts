import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanLogText } from './cleanLogText.ts';

const clean = (text: string): string => cleanLogText(text, 4_000);

test('a secret is shown to whoever reads the log', () => {
  const secrets = [
    'xjk_0123abc_Zm9vYmFyYmF6',
    'xrt_12_Zm9vYmFyYmF6Zm9vYmFyYmF6Zm9vYmFyYmF6Zm9vYmFyYmF6',
    'xim_my-project_0123456789abcdefghij',
    'key=xim_my-project_0123456789abcdefghij',
    'hf_abcdefghijklmnopqrstuv',
    'sk-abcdefghijklmnop0123',
    'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZ2VudCJ9.c2lnbmF0dXJlc2ln',
    '/v1/x?jwt=eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZ2VudCJ9.c2lnbmF0dXJlc2ln',
    'Authorization: Bearer sk-something-secret',
    '"authorization": "Basic dXNlcjpwYXNz-secret"',
    'bearer Zm9vYmFyYmF6',
    'password=hunter2-secret',
    'api_key: "Zm9vYmFyYmF6"',
    'postgres://user:Zm9vYmFyYmF6@db/x',
    '-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----',
    '-----BEGIN EC PRIVATE KEY-----\nMC4CAQAw',
  ];
  for (const secret of secrets) {
    const text = clean(`before ${secret} after`);
    assert.match(text, /^before .*\[secret\]/, secret);
    assert.doesNotMatch(text, /Zm9v|0123456789abcdef|eyJ|sk-|MC4C|-secret|hf_ab|dXNl/, text);
  }
  assert.equal(clean('M'.repeat(64)), '[secret]', 'a line out of the middle of a key');
});

test('what is no secret is masked, so that a log says nothing', () => {
  const plain = [
    'xim_requests_running_by_outcome 3',
    'model loaded from /srv/models/smollm2-135m-instruct-q8_0.gguf',
    'sha256 5a1395716f7913741cc51d98581b9b1228d80987a9f7d3664106742eb06bba83',
    'eos token = 151645, 12 tokens: fine',
    'https://example.org:8080/a/b?c=d and user@example.org',
    'req_0123456789abcdefghjkmnpqrs was reset by 10.0.0.1',
  ];
  for (const text of plain) assert.equal(clean(text), text);
});

test('a control character reaches a terminal or a page', () => {
  assert.equal(clean('a\u001b[2Jb\nc\r'), 'a\\u001b[2Jb\\u000ac\\u000d');
  assert.equal(clean('\u202egnp.exe\u2028\u200b\u0085'), '\\u202egnp.exe\\u2028\\u200b\\u0085');
  assert.equal(clean('half \ud800 pair \u{e0001}'), 'half \\ud800 pair \\u{e0001}');
  assert.equal(clean('grüße 你好 😀'), 'grüße 你好 😀');
});

test('a long line is kept whole, or a secret at its cut is shown by half', () => {
  assert.equal(cleanLogText('x'.repeat(10_000), 100).length, 100);
  assert.equal(cleanLogText('\u0001'.repeat(10_000), 100).length, 100);
  const text = cleanLogText(`${'x '.repeat(45)}xjk_0123_${'s'.repeat(50)}`, 100);
  assert.doesNotMatch(text, /ss/);
});

test('a line that was made to be slow to read stops the program', () => {
  const longest = 16_000;
  const pieces = [
    'a-',
    'a.',
    'abcdefghij.',
    'bearer ',
    'bearer        ',
    'authorization: ',
    'token=',
    '-----BEGIN PRIVATE KEY-----',
    '-----BEGIN ',
    '://a:',
    'xim_',
    'xjk_a_',
    'hf_',
    ' ',
    '\u0000',
    'A',
  ];
  const startedAtMs = performance.now();
  for (const piece of pieces) clean(piece.repeat(Math.ceil(longest / piece.length)));
  const tookMs = performance.now() - startedAtMs;
  // Quadratic patterns take seconds for these.
  assert.ok(tookMs < 400, `${tookMs} ms`);
});
