import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readChatRequest } from './chatRequest.ts';

const user = { role: 'user', content: 'hi' };
const read = (body: unknown, requireModel = false) => readChatRequest(body, { requireModel });

test('a plain request that is refused', () => {
  assert.deepEqual(read({ model: 'default', messages: [user] }), {
    ok: true,
    request: {
      model: 'default',
      stream: false,
      includeUsage: false,
      abilities: ['chat'],
      maxTokens: null,
    },
  });
});

test('null where OpenAI takes null for absent', () => {
  const result = read({
    messages: [user],
    stream: null,
    stream_options: null,
    max_tokens: null,
    n: null,
    temperature: null,
    tools: null,
    stop: null,
    response_format: null,
    logprobs: null,
  });
  assert.equal(result.ok, true);
});

test('an answer whose usage is lost because the wish for it was not read', () => {
  const body = { messages: [user], stream: true, stream_options: { include_usage: true } };
  const result = read(body);
  assert.ok(result.ok);
  assert.equal(result.request.includeUsage, true);
  assert.equal(result.request.stream, true);
});

test('a request sent to an engine that cannot do what it asks', () => {
  const picture = { role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] };
  const result = read({
    messages: [picture, { role: 'assistant', tool_calls: [] }],
    n: 2,
    logprobs: true,
    response_format: { type: 'json_schema', json_schema: {} },
  });
  assert.ok(result.ok);
  assert.deepEqual(
    [...result.request.abilities].toSorted(),
    ['chat', 'choices', 'image', 'json_schema', 'logprobs', 'tools'].toSorted(),
  );
});

const bad: [string, unknown, string, string | null][] = [
  ['an array as body', [], 'invalid_type', null],
  ['a number as body', 3, 'invalid_type', null],
  ['no messages', {}, 'missing_required_parameter', 'messages'],
  ['messages null', { messages: null }, 'invalid_type', 'messages'],
  ['messages as text', { messages: 'hi' }, 'invalid_type', 'messages'],
  ['no message', { messages: [] }, 'invalid_value', 'messages'],
  ['a message that is text', { messages: ['hi'] }, 'invalid_type', 'messages[0]'],
  [
    'no role',
    { messages: [user, { content: 'x' }] },
    'missing_required_parameter',
    'messages[1].role',
  ],
  [
    'a role of ours',
    { messages: [{ role: 'x', content: '' }] },
    'invalid_value',
    'messages[0].role',
  ],
  [
    'a role that is 1',
    { messages: [{ role: 1, content: '' }] },
    'invalid_type',
    'messages[0].role',
  ],
  [
    'no content',
    { messages: [{ role: 'user' }] },
    'missing_required_parameter',
    'messages[0].content',
  ],
  [
    'content null',
    { messages: [{ role: 'user', content: null }] },
    'invalid_type',
    'messages[0].content',
  ],
  [
    'a part without type',
    { messages: [{ role: 'user', content: [{}] }] },
    'missing_required_parameter',
    'messages[0].content[0].type',
  ],
  [
    'a part without text',
    { messages: [{ role: 'user', content: [{ type: 'text' }] }] },
    'missing_required_parameter',
    'messages[0].content[0].text',
  ],
  ['model as number', { model: 1, messages: [user] }, 'invalid_type', 'model'],
  ['stream as text', { messages: [user], stream: 'yes' }, 'invalid_type', 'stream'],
  [
    'stream options without stream',
    { messages: [user], stream_options: { include_usage: true } },
    'invalid_value',
    'stream_options',
  ],
  [
    'include_usage as text',
    { messages: [user], stream: true, stream_options: { include_usage: 'yes' } },
    'invalid_type',
    'stream_options.include_usage',
  ],
  ['no token at all', { messages: [user], max_tokens: 0 }, 'invalid_value', 'max_tokens'],
  ['half a token', { messages: [user], max_tokens: 0.5 }, 'invalid_type', 'max_tokens'],
  [
    'tokens as text',
    { messages: [user], max_completion_tokens: '5' },
    'invalid_type',
    'max_completion_tokens',
  ],
  ['no choice', { messages: [user], n: 0 }, 'invalid_value', 'n'],
  ['too hot', { messages: [user], temperature: 2.1 }, 'invalid_value', 'temperature'],
  ['too cold', { messages: [user], temperature: -1 }, 'invalid_value', 'temperature'],
  ['top_p over 1', { messages: [user], top_p: 1.5 }, 'invalid_value', 'top_p'],
  ['stop as number', { messages: [user], stop: 3 }, 'invalid_type', 'stop'],
  ['a stop that is a number', { messages: [user], stop: ['a', 3] }, 'invalid_type', 'stop[1]'],
  ['tools as object', { messages: [user], tools: {} }, 'invalid_type', 'tools'],
  ['a tool that is text', { messages: [user], tools: ['x'] }, 'invalid_type', 'tools[0]'],
  ['top_logprobs alone', { messages: [user], top_logprobs: 2 }, 'invalid_value', 'top_logprobs'],
  [
    'an unknown format',
    { messages: [user], response_format: { type: 'xml' } },
    'unsupported_value',
    'response_format.type',
  ],
];

for (const [what, body, name, param] of bad) {
  test(`passed on to an engine: ${what}`, () => {
    const result = read(body);
    assert.ok(!result.ok);
    assert.equal(result.name, name);
    assert.equal(result.param, param);
    assert.match(result.message, /\.$/);
  });
}

test('a request on the root address that names no endpoint', () => {
  const result = read({ messages: [user] }, true);
  assert.ok(!result.ok);
  assert.equal(result.name, 'missing_required_parameter');
  assert.equal(result.param, 'model');
});

test('how long an answer may be is read from the older field, or for one choice of many', () => {
  const messages = [{ role: 'user', content: 'hi' }];
  const read = (body: object): unknown => {
    const result = readChatRequest({ messages, ...body }, { requireModel: false });
    return result.ok ? result.request.maxTokens : result.name;
  };
  assert.equal(read({ max_tokens: 7 }), 7);
  assert.equal(read({ max_tokens: 7, max_completion_tokens: 9 }), 9);
  assert.equal(read({ max_tokens: 7, n: 3 }), 21);
  assert.equal(read({ max_tokens: null }), null);
});
