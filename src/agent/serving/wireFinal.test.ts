import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SseSplitter } from '../../lib/text/sse.ts';
import {
  fakeAnswer,
  fakeChunks,
  type FakeDialect,
} from '../../testing/engines/fakeEngineAnswers.ts';
import type { EngineUsage, JsonObject } from '../engines/engine.ts';
import { endSchema } from '../../protocol/messages/end.ts';
import { wireError } from './wireError.ts';
import { wireAnswer, wireErrorEvent, WireStream, type AnswerFrame } from './wireFinal.ts';
import { usageOf } from './wireUsage.ts';

const frame: AnswerFrame = {
  requestId: 'req_abc',
  path: '/v1/chat/completions',
  model: 'default',
  created: 1_800_000_000,
  includeUsage: false,
};

/** What a client reads, given what an engine said. */
function wired(
  events: readonly JsonObject[],
  options: Partial<AnswerFrame> = {},
  usage?: EngineUsage,
): string {
  const stream = new WireStream({ ...frame, ...options });
  const parts = events.map((event) => stream.chunk(event) ?? Buffer.alloc(0));
  const end = stream.finish(usage);
  assert.ok(end !== undefined, 'it counts as no answer');
  return Buffer.concat([...parts, end]).toString('utf8');
}

/** The events of a wire-final stream, `[DONE]` checked and taken off. */
function read(text: string): JsonObject[] {
  const events = text.split('\n\n');
  assert.equal(events.pop(), '');
  assert.equal(events.pop(), 'data: [DONE]');
  return events.map((event) => JSON.parse(event.slice('data: '.length)) as JsonObject);
}

type Choice = {
  index: number;
  delta: JsonObject;
  logprobs: JsonObject | null;
  finish_reason: string | null;
};
const choicesOf = (event: JsonObject | undefined): Choice[] =>
  (event?.['choices'] ?? []) as Choice[];

function chunk(delta: JsonObject, more: JsonObject = {}): JsonObject {
  return { id: 'x', model: 'y', choices: [{ index: 0, delta, finish_reason: null, ...more }] };
}

const dialects: FakeDialect[] = ['vllm', 'llama', 'ollama'];
const head =
  '"id":"chatcmpl-abc","object":"chat.completion.chunk","created":1800000000,"model":"default"';

/** Engine bytes, cut anywhere, to wire-final bytes: the way of the url engine. */
function throughSplitter(bytes: Buffer, cuts: readonly number[], includeUsage: boolean): string {
  const events: JsonObject[] = [];
  const splitter = new SseSplitter({
    maxEventBytes: 1 << 20,
    onEvent: (raw) => {
      const data = raw.toString('utf8').slice('data: '.length);
      if (data !== '[DONE]') events.push(JSON.parse(data) as JsonObject);
    },
  });
  const places = [...new Set(cuts.map((cut) => cut % bytes.length))].toSorted((a, b) => a - b);
  let from = 0;
  for (const place of [...places, bytes.length]) {
    splitter.push(bytes.subarray(from, place));
    from = place;
  }
  return wired(events, { includeUsage });
}

for (const dialect of dialects) {
  test(`an answer of ${dialect} reads otherwise than OpenAI’s, however it was cut`, () => {
    const sent = fakeChunks({ dialect, model: 'theirs', chunks: 2, padding: 'é🙂' });
    const first = dialect === 'ollama' ? 'w0 é🙂' : '';
    const rest = dialect === 'ollama' ? ['w1 é🙂'] : ['w0 é🙂', 'w1 é🙂'];
    const last = dialect === 'llama' ? '{}' : '{"content":""}';
    const cached = dialect === 'ollama' ? 0 : 2;
    const golden =
      `data: {${head},"choices":[{"index":0,"delta":{"role":"assistant","content":"${first}",` +
      '"refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}\n\n' +
      rest
        .map(
          (text) =>
            `data: {${head},"choices":[{"index":0,"delta":{"content":"${text}"},` +
            '"logprobs":null,"finish_reason":null}],"usage":null}\n\n',
        )
        .join('') +
      `data: {${head},"choices":[{"index":0,"delta":${last},"logprobs":null,` +
      '"finish_reason":"stop"}],"usage":null}\n\n' +
      `data: {${head},"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,` +
      `"total_tokens":9,"prompt_tokens_details":{"cached_tokens":${cached}}}}\n\n` +
      'data: [DONE]\n\n';
    const bytes = Buffer.concat(sent);
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 30 }), (cuts) => {
        assert.equal(throughSplitter(bytes, cuts, true), golden);
      }),
      { numRuns: 50 },
    );
  });

  test(`a whole answer of ${dialect} does not follow OpenAI’s schema`, () => {
    const answer = fakeAnswer({ dialect, model: 'theirs', chunks: 2, padding: '' });
    assert.deepEqual(JSON.parse(String(wireAnswer(frame, answer))), {
      id: 'chatcmpl-abc',
      object: 'chat.completion',
      created: 1_800_000_000,
      model: 'default',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'w0 w1 ', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: {
        prompt_tokens: 7,
        completion_tokens: 2,
        total_tokens: 9,
        prompt_tokens_details: { cached_tokens: dialect === 'ollama' ? 0 : 2 },
      },
    });
  });
}

test('usage appears unasked, or on other chunks than the last', () => {
  const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
  const events = [
    { ...chunk({ role: 'assistant', content: 'a' }), usage },
    { ...chunk({ content: 'b' }, { finish_reason: 'stop' }), usage },
  ];
  assert.ok(!wired(events).includes('usage'));
  const asked = read(wired(events, { includeUsage: true }));
  assert.deepEqual(
    asked.map((event) => event['usage'] !== null),
    [false, false, true],
  );
  assert.deepEqual(asked[2]?.['choices'], []);
});

test('usage that the engine never counted is made up', () => {
  const events = [chunk({ role: 'assistant', content: 'a' }, { finish_reason: 'stop' })];
  assert.equal(read(wired(events, { includeUsage: true })).length, 1);
});

test('usage that only the engine’s end tells is lost', () => {
  const events = [chunk({ role: 'assistant', content: 'a' }, { finish_reason: 'stop' })];
  const usage = { input: 3, cached: 1, output: 4 };
  const last = read(wired(events, { includeUsage: true }, usage)).at(-1);
  assert.equal((last?.['usage'] as JsonObject | undefined)?.['total_tokens'], 7);
});

test('a stream without role or reason leaves them out', () => {
  const events = read(wired([chunk({ content: 'a' }), chunk({ content: 'b' })]));
  assert.equal(choicesOf(events[0])[0]?.delta['role'], 'assistant');
  assert.equal(choicesOf(events[1])[0]?.delta['role'], undefined);
  assert.equal(choicesOf(events[2])[0]?.finish_reason, 'stop');
});

test('an answer without a choice is made into an empty one', () => {
  const usage = { prompt_tokens: 1, completion_tokens: 0 };
  const nothing: JsonObject[][] = [
    [],
    [{}],
    [{ choices: [] }, { choices: [], usage }],
    [{ choices: null }, { choices: [3, null] }],
    [{ choices: [{ index: 0, message: { content: 'not a delta' } }] }],
  ];
  for (const path of ['/v1/chat/completions', '/v1/completions']) {
    for (const events of nothing) {
      if (path === '/v1/completions' && events === nothing[4]) continue;
      const stream = new WireStream({ ...frame, path });
      for (const event of events) assert.equal(stream.chunk(event), undefined);
      assert.equal(stream.finish({ input: 1, cached: 0, output: 0 }), undefined);
    }
  }
  const wholes: JsonObject[] = [
    {},
    { choices: [] },
    { choices: null },
    { choices: [1] },
    { choices: [{ finish_reason: 'stop' }] },
    { choices: [{ delta: { content: 'not a message' } }] },
  ];
  for (const whole of wholes) assert.equal(wireAnswer(frame, whole), undefined);
  assert.equal(wireAnswer({ ...frame, path: '/v1/completions' }, {}), undefined);
  assert.equal(wireAnswer({ ...frame, path: '/v1/embeddings' }, { data: 'x' }), undefined);
});

test('an answer that is empty by right is taken for none', () => {
  const [only] = read(wired([chunk({}, { finish_reason: 'length' })]));
  assert.deepEqual(choicesOf(only)[0], {
    index: 0,
    delta: { role: 'assistant', content: '', refusal: null },
    logprobs: null,
    finish_reason: 'length',
  });
  const whole = { choices: [{ message: { content: null }, finish_reason: 'length' }] };
  assert.match(String(wireAnswer(frame, whole)), /"content":null/);
});

test('a reason that is a word of the language leaves the choice without an end', () => {
  for (const reason of ['constructor', '__proto__', 'toString']) {
    const events = read(wired([chunk({ content: 'a' }, { finish_reason: reason })]));
    assert.equal(choicesOf(events[0])[0]?.finish_reason, 'stop');
  }
});

test('a choice goes on after its reason', () => {
  const events = read(
    wired([
      chunk({ role: 'assistant', content: 'a' }, { finish_reason: 'length' }),
      chunk({ content: 'late' }),
    ]),
  );
  assert.equal(events.length, 1);
});

test('several choices mix up their roles and reasons', () => {
  const both = (delta: JsonObject, reason: string | null): JsonObject => ({
    choices: [0, 1].map((index) => ({ index, delta, finish_reason: index === 1 ? reason : null })),
  });
  const events = read(wired([both({ content: 'a' }, null), both({ content: 'b' }, 'stop')]));
  assert.deepEqual(
    choicesOf(events[0]).map(({ delta }) => delta['role']),
    ['assistant', 'assistant'],
  );
  assert.deepEqual(
    choicesOf(events[2]).map(({ index, finish_reason }) => [index, finish_reason]),
    [[0, 'stop']],
  );
});

test('log probabilities miss what the schema demands', () => {
  const logprobs = {
    content: [{ id: 5, token: 'é', logprob: null, top_logprobs: [{ token: 'e' }] }],
  };
  const [event] = read(wired([chunk({ content: 'é' }, { logprobs })]));
  assert.deepEqual(choicesOf(event)[0]?.logprobs, {
    content: [
      {
        token: 'é',
        logprob: -9999,
        bytes: [195, 169],
        top_logprobs: [{ token: 'e', logprob: -9999, bytes: [101] }],
      },
    ],
    refusal: null,
  });
});

test('tool calls without index, id, type or text arguments break a client', () => {
  const call = { function: { name: 'look', arguments: { at: 1 } } };
  const events = read(
    wired([
      chunk({ role: 'assistant', content: null, tool_calls: [call] }),
      chunk({ tool_calls: [{ function: { arguments: 'x' } }] }),
      chunk({ tool_calls: [{ ...call, id: 'call_given' }] }),
      chunk({ content: '', tool_calls: [] }, { finish_reason: 'tool_calls' }),
    ]),
  );
  const calls = events.map((event) => choicesOf(event)[0]?.delta['tool_calls']);
  const named = { name: 'look', arguments: '{"at":1}' };
  assert.deepEqual(calls, [
    [{ index: 0, id: 'call_abc_0_0', type: 'function', function: named }],
    [{ index: 0, function: { arguments: 'x' } }],
    [{ index: 1, id: 'call_given', type: 'function', function: named }],
    undefined,
  ]);
});

test('reasoning text is lost', () => {
  const events = read(
    wired([
      chunk({ role: 'assistant', reasoning_content: 'hm' }),
      chunk({ content: '', reasoning: 'so' }),
    ]),
  );
  assert.equal(choicesOf(events[0])[0]?.delta['reasoning_content'], 'hm');
  assert.equal(choicesOf(events[1])[0]?.delta['reasoning'], 'so');
});

test('a legacy completion is given the shape of a chat', () => {
  const path = '/v1/completions';
  const events = read(
    wired([{ choices: [{ index: 0, text: 'a', finish_reason: null }] }], { path }),
  );
  assert.deepEqual(events[0], {
    id: 'cmpl-abc',
    object: 'text_completion',
    created: frame.created,
    model: 'default',
    choices: [{ index: 0, text: 'a', logprobs: null, finish_reason: null }],
  });
  assert.equal(choicesOf(events[1])[0]?.finish_reason, 'stop');
});

test('strange members of an engine reach the client, or break the stream', () => {
  const strange: JsonObject[] = [
    { choices: 'no' },
    { choices: [null, 3, { delta: 'x', index: -1 }] },
    { choices: [{ index: 1e9, delta: { content: 5 } }] },
    {},
  ];
  const events = read(wired(strange));
  assert.ok(events.every((event) => choicesOf(event).every(({ index }) => index === 0)));
});

test('an engine’s own error shape, code or path reaches the client', () => {
  const message = 'bad /home/x/models/y.gguf at http://10.0.0.7:8000/v1\u001b[31m';
  const error = { message, type: 'BadRequestError', code: 400 };
  assert.deepEqual(wireError(400, error), {
    status: 400,
    envelope: {
      error: {
        message: 'bad [path] at [address] [31m',
        type: 'invalid_request_error',
        param: null,
        code: 'invalid_value',
      },
    },
  });
  const long = { message: 'm', code: 'context_length_exceeded', param: 'messages' };
  assert.equal(wireError(400, long).envelope.error.code, 'context_length_exceeded');
  assert.equal(wireError(413, { message: '' }).status, 413);
  const event = wireErrorEvent(wireError(422, { message: 'no', param: 'top_p' }).envelope);
  assert.equal(
    event.toString(),
    'data: {"error":{"message":"no","type":"invalid_request_error","param":"top_p",' +
      '"code":"invalid_value"}}\n\ndata: [DONE]\n\n',
  );
});

test('an engine that counts absurdly ends the link of its agent, again and again', () => {
  for (const absurd of [1e9, 1e15, 1e300]) {
    const usage = usageOf({ usage: { prompt_tokens: absurd, total_tokens: 2 * absurd } });
    assert.ok(usage !== undefined, String(absurd));
    const timings = { totalMs: 1 };
    endSchema.parse({ requestId: 'req_1', usage, timings, outcome: 'completed' });
  }
});
