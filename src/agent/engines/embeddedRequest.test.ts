import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from './engine.ts';
import { readGeneration, type GenerationRequest } from './embeddedRequest.ts';

const messages = [{ role: 'user', content: 'Hi' }];

function chat(extra: JsonObject): ReturnType<typeof readGeneration> {
  return readGeneration({ path: '/v1/chat/completions', body: { messages, ...extra } });
}

function text(body: JsonObject): ReturnType<typeof readGeneration> {
  return readGeneration({ path: '/v1/completions', body });
}

function requestOf(read: ReturnType<typeof readGeneration>): GenerationRequest {
  assert.equal(read.kind, 'request', JSON.stringify(read));
  return (read as { request: GenerationRequest }).request;
}

function refusalOf(read: ReturnType<typeof readGeneration>): [unknown, unknown] {
  assert.equal(read.kind, 'refused', JSON.stringify(read));
  const { error } = read as Extract<typeof read, { kind: 'refused' }>;
  return [error.code, error.param];
}

test('a parameter that the engine cannot keep is dropped in silence', () => {
  const asked: JsonObject = {
    n: 2,
    logprobs: true,
    top_logprobs: 3,
    tools: [{ type: 'function', function: { name: 'f' } }],
    functions: [{}],
    logit_bias: { 5: 1 },
    audio: {},
    modalities: ['text', 'audio'],
  };
  for (const [param, value] of Object.entries(asked)) {
    assert.deepEqual(refusalOf(chat({ [param]: value })), ['unsupported_parameter', param]);
  }
  for (const [param, value] of Object.entries({
    echo: true,
    suffix: 'x',
    best_of: 2,
    logprobs: 1,
  })) {
    const refusal = refusalOf(text({ prompt: 'a', [param]: value }));
    assert.deepEqual(refusal, ['unsupported_parameter', param]);
  }
  const image = [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }];
  assert.deepEqual(refusalOf(chat({ messages: image })), ['unsupported_parameter', 'messages']);
});

test('a parameter that asks for nothing is refused', () => {
  const nothing: JsonObject = {
    n: 1,
    logprobs: false,
    top_logprobs: 0,
    tools: [],
    logit_bias: {},
    stop: null,
    response_format: { type: 'text' },
    tool_choice: 'none',
    user: 'somebody',
    metadata: {},
  };
  assert.equal(requestOf(chat(nothing)).grammar, undefined);
});

test('a parameter of the wrong type or range reaches the engine', () => {
  assert.deepEqual(refusalOf(chat({ temperature: 'hot' })), ['invalid_type', 'temperature']);
  assert.deepEqual(refusalOf(chat({ top_p: 2 })), ['invalid_value', 'top_p']);
  assert.deepEqual(refusalOf(chat({ max_tokens: 0 })), ['invalid_value', 'max_tokens']);
  assert.deepEqual(refusalOf(chat({ stop: [1] })), ['invalid_type', 'stop[0]']);
  const format = { type: 'json_schema', json_schema: { schema: { type: 'string', pattern: 'x' } } };
  const param = 'response_format.json_schema.schema.pattern';
  assert.deepEqual(refusalOf(chat({ response_format: format })), ['unsupported_value', param]);
  assert.deepEqual(refusalOf(text({ prompt: ['a', 'b'] })), ['unsupported_parameter', 'prompt']);
});

test('messages lose their text, their order or their roles', () => {
  const read = requestOf(
    chat({
      messages: [
        { role: 'developer', content: 'Be kind.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
        },
        { role: 'assistant', content: null },
      ],
    }),
  );
  assert.deepEqual(read.prompt, {
    kind: 'chat',
    continueFinal: false,
    messages: [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'a\nb' },
      { role: 'assistant', content: '' },
    ],
  });
});

test('bounds on the answer are mixed up', () => {
  assert.equal(requestOf(chat({})).maxTokens, undefined);
  assert.equal(requestOf(chat({ max_tokens: 5 })).maxTokens, 5);
  assert.equal(requestOf(chat({ max_tokens: 5, max_completion_tokens: 7 })).maxTokens, 7);
  assert.equal(requestOf(text({ prompt: 'a' })).maxTokens, 16);
  assert.deepEqual(requestOf(chat({ stop: 'x' })).stops, ['x']);
  assert.equal(requestOf(chat({ seed: -1 })).sampling.seed, 2 ** 32 - 1);
  assert.equal(requestOf(chat({ top_k: -1 })).sampling.topK, 0);
  assert.deepEqual(requestOf(text({ prompt: [1, 2] })).prompt, { kind: 'tokens', tokens: [1, 2] });
});
