/**
 * Streams that are cut anywhere and continued by an engine that knows nothing but the text that it
 * is sent. What the client has in the end is what one engine would have given.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { readDelivered } from './deliveredText.ts';
import { mayResume, Resumable, type NextStep } from './resumable.ts';
import { resumedBody } from './resumedBody.ts';
import { Seam, sentText } from './seam.ts';

/** Emoji with joiners and skin tones, combining marks, CJK, right to left, white space, quotes. */
const text =
  'Zoë said: 👩🏽‍💻 \n\n日本語のテキスト、e\u0301a\u0308o\u0302\u0323 — “ok”\t한국어 🏳️‍🌈\u3000done\r\n' +
  'שלום {"a": [1, 2]} \\ end.';
const frame = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 7, model: 'main' };

const event = (delta: unknown, reason: string | null = null, more: object = {}): string => {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: reason }];
  return `data: ${JSON.stringify({ ...frame, choices, ...more })}\n\n`;
};

/** Pieces of so many UTF-16 units: a surrogate pair may be torn. */
function pieces(whole: string, size: number): string[] {
  const all: string[] = [];
  for (let at = 0; at < whole.length; at += size) all.push(whole.slice(at, at + size));
  return all;
}

/** What an engine streams of an answer: from the place on that its prompt has reached. */
function answerOf(whole: string, how: { size: number; stops?: string[] }): string {
  const { stops = [], size } = how;
  const ends = stops.map((stop) => whole.indexOf(stop)).filter((at) => at >= 0);
  const shown = whole.slice(0, Math.min(whole.length, ...ends));
  const events = pieces(shown, size).map((content) => event({ content }));
  const first = event({ role: 'assistant', content: '', refusal: null });
  const usage = { prompt_tokens: 100, completion_tokens: events.length };
  const last = `data: ${JSON.stringify({ ...frame, choices: [], usage })}\n\n`;
  return [first, ...events, event({}, 'stop'), last, 'data: [DONE]\n\n'].join('');
}

interface Body {
  messages: { role: string; content: string }[];
  continue_final_message?: boolean;
  max_tokens?: number;
  stop?: string[];
}

/** An engine that continues what it is sent, if that is where its own answer leads. */
function engine(body: Buffer, size: number): string {
  const { messages, continue_final_message: open, stop } = JSON.parse(body.toString()) as Body;
  const [asked, turn] = messages;
  const answer = asked?.content ?? '';
  if (open !== true) return answerOf(answer, { size, stops: stop ?? [] });
  assert.equal(turn?.role, 'assistant');
  // Its template trims the turn, and its tokeniser reads UTF-8.
  const prompt = Buffer.from(turn.content.trimEnd()).toString();
  assert.ok(answer.startsWith(prompt), `it is sent ${JSON.stringify(turn.content)}`);
  return answerOf(answer.slice(prompt.length), { size, stops: stop ?? [] });
}

interface Client {
  text: string;
  roles: number;
  reasons: string[];
  resumed: unknown[];
  frames: Set<string>;
  usage: Record<string, number> | undefined;
}

function readClient(bytes: string): Client {
  const client: Client = {
    text: '',
    roles: 0,
    reasons: [],
    resumed: [],
    frames: new Set(),
    usage: undefined,
  };
  for (const line of bytes.split('\n\n').filter((one) => one !== '' && !one.includes('[DONE]'))) {
    const { choices, usage, x_xim_resumed, ...rest } = JSON.parse(line.slice(6)) as {
      choices: { delta: { role?: string; content?: string }; finish_reason: string | null }[];
      usage?: Record<string, number>;
      x_xim_resumed?: number;
    };
    client.frames.add(JSON.stringify(rest));
    if (x_xim_resumed !== undefined) client.resumed.push(x_xim_resumed);
    if (usage) client.usage = usage;
    for (const { delta, finish_reason: reason } of choices) {
      client.text += delta.content ?? '';
      if (delta.role !== undefined) client.roles += 1;
      if (reason !== null) client.reasons.push(reason);
    }
  }
  return client;
}

/** The end of the last whole event: what a relay has passed on of so many bytes. */
function whole(bytes: Buffer): Buffer {
  const all = bytes.toString('latin1');
  const end = all.lastIndexOf('\n\n') + 2;
  const passed = bytes.subarray(0, all.includes('\n\n') ? end : 0);
  // The last event waits for the journal.
  return passed.toString('latin1').endsWith('[DONE]\n\n')
    ? passed.subarray(0, passed.length - 'data: [DONE]\n\n'.length)
    : passed;
}

const requestOf = (content: string, more: object = {}): Buffer =>
  Buffer.from(JSON.stringify({ messages: [{ role: 'user', content }], ...more }));

/** Runs a stream that is cut after so many bytes of each attempt, to its end. */
function run(request: Buffer, cuts: readonly number[], how: { size: number; chunk?: number }) {
  const { size, chunk = 1 << 20 } = how;
  const resumable = new Resumable({ includeUsage: true, inAll: { bytes: 0 } });
  resumable.begin(request);
  let client = whole(Buffer.from(engine(request, size)).subarray(0, cuts[0])).toString();
  resumable.keep(Buffer.from(client));
  const steps: NextStep[] = [];
  for (const cut of [...cuts.slice(1), Infinity]) {
    const step = resumable.next(1);
    steps.push(step);
    if (step.kind === 'none') break;
    if (step.kind === 'complete') {
      client += step.bytes.toString();
      break;
    }
    const given = Buffer.from(engine(step.body, size)).subarray(0, cut);
    for (let at = 0; at < given.length; at += chunk) {
      const out = step.stream.push(given.subarray(at, at + chunk));
      resumable.keep(out);
      client += out.toString();
    }
    if (step.stream.phase === 'finished' || step.stream.phase === 'stopped') break;
  }
  return { client: readClient(client), steps };
}

test('a character is lost or doubled where a stream is cut', () => {
  const request = requestOf(text);
  for (const size of [1, 3, 7]) {
    const first = Buffer.from(engine(request, size));
    const ends = [...first.toString('latin1').matchAll(/\n\n/g)].map(({ index }) => index + 2);
    // Every byte of one; of the others those around the ends of events, where something changes.
    const cuts =
      size === 7
        ? Array.from({ length: first.length - 1 }, (_, at) => at + 1)
        : ends.flatMap((end) => [end - 1, end, end + 1]);
    for (const cut of cuts) {
      // Before the first whole event nothing was delivered: that is a retry, not a resume.
      if (whole(first.subarray(0, cut)).length === 0) continue;
      const { client } = run(request, [cut], { size, chunk: 61 });
      assert.equal(client.text, text, `cut at byte ${cut}, pieces of ${size}`);
      assert.equal(client.roles, 1);
      assert.deepEqual(client.reasons, ['stop']);
      assert.equal(client.frames.size, 1);
    }
  }
});

test('a stream that breaks again and again loses its place', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.array(fc.nat(3000), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 4 }),
      (answer, cuts, size) => {
        const first = Math.max(cuts[0] ?? 0, 300);
        const { client, steps } = run(requestOf(answer), [first, ...cuts.slice(1)], { size });
        assert.equal(client.text, answer);
        assert.deepEqual(client.reasons, ['stop']);
        assert.equal(client.roles, 1);
        assert.ok(steps.every(({ kind }) => kind !== 'none'));
      },
    ),
    { numRuns: 400 },
  );
});

test('a stop string that lies across the seam is shown, or ends the answer too early', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'b', 'ab', ' ', '\n', '日'), { maxLength: 30 }),
      fc.array(fc.constantFrom('aab', 'ba\n', 'ab ab', '日a', ' \n'), { maxLength: 2 }),
      fc.nat(30),
      fc.integer({ min: 1, max: 3 }),
      (parts, stop, cut, size) => {
        const answer = parts.join('');
        const ends = stop.map((one) => answer.indexOf(one)).filter((at) => at >= 0);
        const wanted = answer.slice(0, Math.min(answer.length, ...ends));
        // An engine that does not hold back what may become a stop string has shown part of one.
        const ended = stop.filter((one) => answer.includes(one));
        const mostShown = Math.min(
          answer.length,
          ...ended.map((one) => answer.indexOf(one) + one.length - 1),
        );
        const delivered = answer.slice(0, Math.min(cut, mostShown));
        const seam = new Seam({ delivered, stops: stop });
        const rest = answer.slice(sentText(delivered).length);
        const restEnds = stop.map((one) => rest.indexOf(one)).filter((at) => at >= 0);
        const shown = rest.slice(0, Math.min(rest.length, ...restEnds));
        let client = delivered;
        for (const piece of pieces(shown, size)) client += seam.push(piece);
        if (!seam.stopped) client += seam.flush();
        // One that begins before the seam is seen if the engine does not end within it for another.
        const reach = answer.length - rest.length + shown.length;
        const isSeen = ended.some((one) => {
          const at = answer.indexOf(one);
          return at < delivered.length && at + one.length <= reach;
        });
        const unseen = answer.slice(0, Math.max(delivered.length, reach));
        const late = isSeen ? delivered : unseen;
        const expected = wanted.length >= delivered.length ? wanted : late;
        assert.equal(client, expected, JSON.stringify({ answer, stop, delivered }));
      },
    ),
    { numRuns: 2000 },
  );
});

test('a continued answer is longer than the client allowed', () => {
  const body = requestOf('x', { max_tokens: 10, max_completion_tokens: 12, min_tokens: 3 });
  const made = resumedBody(body, { sent: 'four', sentTokens: 4, tokens: 4 });
  assert.ok(made.kind === 'body');
  const { max_tokens, max_completion_tokens, min_tokens } = JSON.parse(
    made.body.toString(),
  ) as Record<string, number>;
  assert.deepEqual([max_tokens, max_completion_tokens, min_tokens], [6, 8, 0]);
  assert.equal(resumedBody(body, { sent: 'twelve', sentTokens: 11, tokens: 12 }).kind, 'spent');
  const { client, steps } = run(requestOf(text, { max_tokens: 2 }), [900], { size: 4 });
  assert.deepEqual(
    steps.map(({ kind }) => kind),
    ['complete'],
  );
  assert.deepEqual(client.reasons, ['length']);
});

test('members of the body that no parser of ours understands are changed', () => {
  const body = Buffer.from(
    '{"messages":[{"role":"user","content":"x"}],"seed":12345678901234567890}',
  );
  const made = resumedBody(body, { sent: 'a', sentTokens: 1, tokens: 1 });
  assert.ok(made.kind === 'body');
  assert.match(made.body.toString(), /"seed":12345678901234567890/);
});

test('an open turn of the client is closed, or followed by another', () => {
  const messages = [
    { role: 'user', content: 'x' },
    { role: 'assistant', content: 'Once ' },
  ];
  const body = Buffer.from(JSON.stringify({ messages, continue_final_message: true }));
  const made = resumedBody(body, { sent: 'upon', sentTokens: 1, tokens: 1 });
  assert.ok(made.kind === 'body');
  const { messages: all } = JSON.parse(made.body.toString()) as Body;
  assert.deepEqual(all.at(-1), { role: 'assistant', content: 'Once upon' });
  assert.equal(all.length, 2);
});

test('the prompt is billed again, or part of the answer is not', () => {
  // 100 tokens of prompt with the turn of 5, so 95 without; 5 delivered and the rest.
  const answer = 'abcdefghij';
  const first = Buffer.from(engine(requestOf(answer), 1));
  const cut = first.indexOf(event({ content: 'f' }));
  const { client } = run(requestOf(answer), [cut], { size: 1 });
  assert.deepEqual(client.usage, {
    prompt_tokens: 95,
    completion_tokens: 10,
    total_tokens: 105,
    prompt_tokens_details: { cached_tokens: 0 },
  });
  assert.deepEqual(client.resumed, [1, 1]);
});

test('half of a thought, a tool call or an error is continued as if it were text', () => {
  const role = event({ role: 'assistant', content: '' });
  const kinds = (events: string): string => {
    const read = readDelivered(Buffer.from(events));
    return read.kind === 'unfit' ? read.why : read.text;
  };
  assert.equal(kinds(role + event({ reasoning_content: 'hmm' })), 'reasoning');
  assert.equal(kinds(role + event({ reasoning: 'hmm' })), 'reasoning');
  assert.equal(kinds(role + event({ content: '<think>hmm' })), 'reasoning');
  assert.equal(kinds(role + event({ content: '<think>hmm</think>So' })), '<think>hmm</think>So');
  assert.equal(kinds(role + event({ reasoning: 'hmm' }) + event({ content: 'So' })), 'So');
  assert.equal(kinds(role + event({ tool_calls: [{ index: 0 }] })), 'not_text');
  assert.equal(kinds('data: {"error":{"message":"x"}}\n\n'), 'unreadable');
  assert.equal(kinds(': queued position=1\n\n' + role + event({ content: 'a' })), 'a');
  assert.equal(kinds(role + event({ content: 'a' }) + 'data: {"choices": [{"del'), 'a');
});

test('a character of several tokens counts as one, or one that never came counts', () => {
  const role = event({ role: 'assistant', content: '' });
  const [none, parrot] = [event({ content: '' }), event({ content: '🦜' })];
  const kept = Buffer.from(role + event({ content: 'a' }) + none + none + parrot + none + none);
  const read = readDelivered(kept);
  assert.ok(read.kind === 'text');
  assert.deepEqual(read.tokenEnds, [1, 3, 3, 3]);
  const body = requestOf('x', { max_tokens: 10 });
  const resumable = new Resumable({ includeUsage: false, inAll: { bytes: 0 } });
  resumable.begin(body);
  resumable.keep(kept);
  const step = resumable.next(1);
  assert.ok(step.kind === 'continue');
  assert.equal((JSON.parse(step.body.toString()) as { max_tokens: number }).max_tokens, 6);
});

test('tokens of the second agent are not counted when it breaks, too', () => {
  const role = event({ role: 'assistant', content: '' });
  const none = event({ content: '' });
  const parrot = none + none + event({ content: '🦜' });
  const step = (resumable: Resumable) => {
    const next = resumable.next(1);
    assert.ok(next.kind === 'continue');
    return next;
  };
  for (const delivered of [role + parrot.repeat(2), role]) {
    const resumable = new Resumable({ includeUsage: true, inAll: { bytes: 0 } });
    resumable.begin(requestOf('x', { max_tokens: 100, stop: ['🦜🦜🦜!', 'never'] }));
    resumable.keep(Buffer.from(delivered));
    const before = step(resumable);
    const rest = role + parrot.repeat(3);
    resumable.keep(before.stream.push(Buffer.from(rest)));
    const after = step(resumable);
    assert.equal(after.sentTokens - before.sentTokens, 9);
    const asked = JSON.parse(after.body.toString()) as { max_tokens: number };
    assert.equal(asked.max_tokens, 100 - after.sentTokens);
  }
});

test('an answer of a given form begins it anew in the middle', () => {
  for (const more of [{ guided_json: {} }, { grammar: 'x' }, { regex: 'a+' }, { echo: true }]) {
    const body = requestOf('x', more);
    const made = (sent: string) => resumedBody(body, { sent, sentTokens: 1, tokens: 1 });
    assert.equal(made('{"a":').kind, 'unfit', JSON.stringify(more));
    assert.equal(made('').kind, 'body', 'nothing of it was delivered');
  }
  const spent = requestOf('x', { grammar: 'x', max_tokens: 1 });
  assert.equal(resumedBody(spent, { sent: 'a', sentTokens: 1, tokens: 1 }).kind, 'spent');
  const plain = requestOf('x', { echo: false, grammar: null });
  assert.equal(resumedBody(plain, { sent: 'a', sentTokens: 1, tokens: 1 }).kind, 'body');
});

test('an answer that begins anew is without its reasoning', () => {
  const role = event({ role: 'assistant', content: '' });
  const goOn = (delivered: string): string => {
    const resumable = new Resumable({ includeUsage: false, inAll: { bytes: 0 } });
    resumable.begin(requestOf('x'));
    resumable.keep(Buffer.from(delivered));
    const step = resumable.next(1);
    assert.ok(step.kind === 'continue');
    const events = [role, event({ reasoning_content: 'hmm' }), event({ content: ' So' })].join('');
    return step.stream.push(Buffer.from(events)).toString();
  };
  const anew = goOn(role);
  assert.match(anew, /"delta":{"reasoning_content":"hmm"}/);
  assert.match(anew, /"delta":{"content":" So"}/);
  assert.equal(anew.includes('"role"'), false);
  assert.equal(goOn(role + event({ content: 'And' })).includes('hmm'), false);
});

test('a request that asks for more than text is continued', () => {
  const plain = { resume: true, stream: true, path: '/v1/chat/completions', abilities: ['chat'] };
  assert.equal(mayResume(plain), true);
  assert.equal(mayResume({ ...plain, resume: false }), false);
  assert.equal(mayResume({ ...plain, stream: false }), false);
  for (const ability of ['tools', 'logprobs', 'choices', 'json', 'json_schema', 'audio']) {
    assert.equal(mayResume({ ...plain, abilities: ['chat', ability] }), false, ability);
  }
});

test('what is kept grows without a bound, or is never given back', () => {
  const inAll = { bytes: 0 };
  const resumable = new Resumable({ includeUsage: false, inAll });
  assert.equal(resumable.begin(Buffer.alloc(5 * 2 ** 20)), false);
  assert.equal(resumable.begin(requestOf('x')), true);
  for (let n = 0; n < 100; n += 1) resumable.keep(Buffer.from(event({ content: 'x'.repeat(2e4) })));
  assert.equal(resumable.isLost, true);
  assert.deepEqual(resumable.next(1), {
    kind: 'none',
    why: 'not_kept',
  });
  assert.equal(inAll.bytes, 0);
  const others = Array.from({ length: 40 }, () => {
    const one = new Resumable({ includeUsage: false, inAll });
    return one.begin(Buffer.alloc(4 * 2 ** 20)) ? one : undefined;
  });
  assert.equal(others.filter((one) => one !== undefined).length, 16);
  for (const one of others) one?.release();
  for (const one of others) one?.release();
  assert.equal(inAll.bytes, 0);
});
