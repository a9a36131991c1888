import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { PromptHasher } from './promptBlocks.ts';

const say = (turns: string[], more: object = {}): Buffer =>
  Buffer.from(
    JSON.stringify({ ...more, messages: turns.map((content) => ({ role: 'user', content })) }),
  );
const text = (from: number, bytes: number): string =>
  Array.from({ length: bytes }, (_none, at) => String.fromCodePoint(97 + ((from + at * 7) % 26)))
    .join('')
    .replaceAll('aaa', 'abc');
const hasher = new PromptHasher(seededRandom(1));
const blocksOf = (body: Buffer, by = hasher): readonly number[] => by.blocksOf(body)?.blocks ?? [];
const shared = (one: readonly number[], other: readonly number[]): number => {
  const differs = one.findIndex((block, at) => block !== other[at]);
  return differs === -1 ? one.length : differs;
};

test('a conversation that goes on is taken for another one', () => {
  const first = blocksOf(say([text(1, 4000)], { model: 'm', temperature: 0.3 }));
  const next = blocksOf(say([text(1, 4000), text(2, 3000)], { model: 'm', max_tokens: 77 }));
  assert.equal(first.length, 3);
  assert.equal(shared(first, next), 3);
  assert.ok(next.length > first.length);
});

test('two prompts that differ early have equal blocks later', () => {
  const [one, other] = [blocksOf(say([`a${text(1, 4000)}`])), blocksOf(say([`b${text(1, 4000)}`]))];
  assert.equal(new Set([...one, ...other]).size, one.length + other.length);
});

test('hashes of one process mean something to another', () => {
  const body = say([text(1, 4000)]);
  const other = blocksOf(body, new PromptHasher(seededRandom(2)));
  assert.equal(new Set([...blocksOf(body), ...other]).size, 2 * other.length);
  assert.deepEqual(blocksOf(body), blocksOf(Buffer.from(body)));
});

test('a hash is no whole number, or a short or a huge body costs more than it may', () => {
  assert.equal(hasher.blocksOf(say(['short'])), undefined);
  assert.equal(hasher.blocksOf(Buffer.alloc(0)), undefined);
  assert.equal(hasher.blocksOf(Buffer.from(`${' '.repeat(1500)}"messages"`)), undefined);
  const huge = blocksOf(Buffer.alloc(1024 * 1024, 'x'));
  assert.equal(huge.length, 256);
  assert.ok(huge.every((block) => Number.isSafeInteger(block) && block >= 0));
  assert.equal(new Set(huge).size, huge.length);
});

test('prompts with other tools share a cache, or those with equal ones do not', () => {
  const tool = (from: number) => ({ type: 'function', function: { name: text(from, 700) } });
  const tools = (from: number, count = 4) => Array.from({ length: count }, () => tool(from));
  const messages = [text(1, 4000)];
  const one = blocksOf(say(messages, { tools: tools(3) }));
  assert.ok(one.length > blocksOf(say(messages)).length + 2);
  assert.deepEqual(blocksOf(say(messages, { tools: tools(3) })), one);
  assert.equal(shared(blocksOf(say(messages, { tools: tools(4) })), one), 0);
  assert.equal(shared(blocksOf(say(messages)), one), 0);
  // Equal tools before other messages; the last one of them is another.
  const other = blocksOf(say([text(2, 4000)], { tools: tools(3) }));
  assert.equal(shared(other, one), 3);
  const longer = blocksOf(say(messages, { tools: [...tools(3), tool(4)] }));
  assert.equal(shared(longer, one), 2);
  // A client that puts them last, and says other things after them.
  const last = (seed: number): Buffer => {
    const asked = messages.map((content) => ({ role: 'user', content }));
    return Buffer.from(JSON.stringify({ messages: asked, tools: tools(3), seed }));
  };
  assert.deepEqual(blocksOf(last(1)), blocksOf(last(77_777)).slice(0, blocksOf(last(1)).length));
  assert.equal(shared(blocksOf(last(1)), one), 6);
});

test('tools that are none, or that do not end, are counted as such', () => {
  const plain = blocksOf(say([text(1, 4000)]));
  for (const name of ['"tools":[{"a":"', '"tools":"[', '"tools" : [ ', '"tools']) {
    const body = Buffer.concat([say([text(1, 4000)]), Buffer.from(name)]);
    assert.equal(shared(blocksOf(body), plain), plain.length, name);
  }
  const quoted = say([text(1, 4000)], { tools: [{ name: '"]}\\' }] });
  assert.equal(blocksOf(quoted).length, plain.length + 1);
  const spoken = say(['"tools":[1]', text(1, 4000)]);
  assert.equal(blocksOf(spoken).length, plain.length);
});
