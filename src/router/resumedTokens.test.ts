/** What a continued answer has had of its `max_tokens`, and what it is billed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { continues, type ContinuingOptions } from '../testing/links/continuingAgent.ts';
import type { Script } from '../testing/links/fakeAgent.ts';
import { auditedHarness } from '../testing/router/auditedHarness.ts';
import { projectEntry } from '../testing/router/directoryEntries.ts';
import {
  able,
  agentOf,
  ask,
  bodyOf,
  chunksOf,
  deltas,
  dies,
  fails,
  textOf,
} from '../testing/router/resumedRequests.ts';
import { until } from '../testing/router/routerHarness.ts';

const harness = auditedHarness();

test('max_tokens is used up twice', async () => {
  const one = await harness();
  const first = await agentOf(one, { size: 1, chunks: 4, next: fails });
  const { client, result } = ask(one, { body: bodyOf({ max_tokens: 7 }, 'abcdefghij') });
  await until(() => first.agent.requests.length === 1);
  await agentOf(one, { size: 1 });
  await result;
  assert.equal(textOf(client), 'abcdefg');
  assert.equal(deltas(chunksOf(client)).at(-1)?.finish_reason, 'length');
});

test('an engine that writes several tokens at once is given too many for the rest', async () => {
  const one = await harness();
  const [size, tokensPerChunk] = [1, 3];
  const whole = continues({ size, tokensPerChunk });
  const broken = continues({ size, tokensPerChunk, chunks: 5, next: dies });
  const script: Script = (request, agent) =>
    (agent.requests.length <= 4 ? whole : broken)(request, agent);
  const first = await one.agent({ script, abilities: able });
  for (let n = 0; n < 4; n += 1) await ask(one, { body: bodyOf({}, 'x'.repeat(20)) }).result;
  const body = bodyOf({ max_tokens: 24 }, 'abcdefghijklm');
  const { client, result } = ask(one, { includeUsage: true, body });
  await until(() => first.agent.requests.length === 5);
  const second = await agentOf(one, { size, tokensPerChunk });
  assert.equal((await result).outcome, 'completed');
  const asked = JSON.parse(second.agent.requests[0]?.body.toString() ?? '') as object;
  assert.equal((asked as { max_tokens: number }).max_tokens, 24 - 5 * tokensPerChunk);
  assert.equal(textOf(client), 'abcdefgh');
  assert.equal(chunksOf(client).at(-1)?.usage?.['completion_tokens'], 24);
  await until(() => one.ports.usageRecords.length === 5);
  assert.equal(one.ports.usageRecords[4]?.outputTokens, 24);
});

test('what one project makes an engine write shortens and bills another one’s answer', async () => {
  const one = await harness();
  const emoji = continues({ size: 1, tokensPerChunk: 3 });
  const english = continues({ size: 1, chunks: 40, next: dies });
  const script: Script = (request, agent) =>
    (request.body.includes('emoji') ? emoji : english)(request, agent);
  const first = await one.agent({ script, abilities: able });
  const stranger = { project: projectEntry({ id: 'proj_other' }) };
  const strange = { ...stranger, body: bodyOf({}, `emoji ${'e'.repeat(34)}`) };
  for (let n = 0; n < 6; n += 1) await ask(one, strange).result;
  const body = bodyOf({ max_tokens: 100 }, 'x'.repeat(60));
  const { client, result } = ask(one, { includeUsage: true, body });
  await until(() => first.agent.requests.length === 7);
  await agentOf(one, { size: 1 });
  assert.equal((await result).outcome, 'completed');
  assert.equal(textOf(client).length, 60);
  assert.equal(chunksOf(client).at(-1)?.usage?.['completion_tokens'], 60);
  await until(() => one.ports.usageRecords.length === 7);
  assert.equal(one.ports.usageRecords[6]?.outputTokens, 60);
});

test('an answer that is complete by its chunks has more tokens than it may have', async () => {
  const one = await harness();
  const emoji = continues({ size: 1, tokensPerChunk: 3 });
  const broken = continues({ size: 1, chunks: 12, next: dies });
  const script: Script = (request, agent) =>
    (agent.requests.length <= 4 ? emoji : broken)(request, agent);
  await one.agent({ script, abilities: able });
  for (let n = 0; n < 4; n += 1) await ask(one, { body: bodyOf({}, 'e'.repeat(40)) }).result;
  const body = bodyOf({ max_tokens: 30 }, 'x'.repeat(60));
  const { client, result } = ask(one, { includeUsage: true, body, maxTokens: 30 });
  assert.equal((await result).outcome, 'completed');
  assert.equal(chunksOf(client).at(-1)?.usage?.['completion_tokens'], 30);
  await until(() => one.ports.usageRecords.length === 5);
  assert.equal(one.ports.usageRecords[4]?.outputTokens, 30);
});

test('white space at the seam is paid twice out of max_tokens', async () => {
  for (const [content, sent] of [
    ['abcdefghijk', 5],
    ['abc   fghijk', 3],
    ['abc\n\n\nfghijk', 3],
  ] as const) {
    const one = await harness();
    const first = await agentOf(one, { size: 1, chunks: 5, next: dies });
    const body = bodyOf({ max_tokens: 8 }, content);
    const { client, result } = ask(one, { includeUsage: true, body });
    await until(() => first.agent.requests.length === 1);
    const second = await agentOf(one, { size: 1 });
    assert.equal((await result).outcome, 'completed');
    assert.equal(textOf(client), content.slice(0, 8));
    assert.equal(chunksOf(client).at(-1)?.usage?.['completion_tokens'], 8);
    const asked = JSON.parse(second.agent.requests[0]?.body.toString() ?? '') as object;
    assert.equal((asked as { max_tokens: number }).max_tokens, 8 - sent);
  }
});

test('a resumed answer’s tokens are counted as whoever wrote last writes them', async () => {
  const one = await harness();
  const whole = continues({ size: 1, tokensPerChunk: 3 });
  const broken = continues({ size: 1, tokensPerChunk: 3, chunks: 5, next: dies });
  const script: Script = (request, agent) =>
    (agent.requests.length <= 4 ? whole : broken)(request, agent);
  const first = await one.agent({ script, abilities: able });
  for (let n = 0; n < 4; n += 1) await ask(one, { body: bodyOf({}, 'x'.repeat(20)) }).result;
  const body = bodyOf({ max_tokens: 19 }, 'x'.repeat(60));
  const { client, result } = ask(one, { includeUsage: true, body, maxTokens: 19 });
  await until(() => first.agent.requests.length === 5);
  // Five chunks of three tokens and four of one: it has had all of them, and nobody else is there.
  await agentOf(one, { size: 1, chunks: 4, next: dies });
  assert.equal((await result).outcome, 'completed');
  assert.equal(textOf(client).length, 9);
  assert.equal(chunksOf(client).at(-1)?.usage?.['completion_tokens'], 19);
});

test('who hangs up on an engine that writes several tokens at once pays for a third', async () => {
  const one = await harness();
  const whole = continues({ size: 1, tokensPerChunk: 3 });
  const endless: Script = (request) => {
    const end = { outcome: 'cancelled', usage: undefined, written: 10 } as const;
    request.whenReset(() => request.finish(end));
    request.streamHead();
    for (let at = 0; at < 10; at += 1) request.event('some words ');
  };
  const script: Script = (request, agent) =>
    (agent.requests.length <= 4 ? whole : endless)(request, agent);
  await one.agent({ script, abilities: able });
  for (let n = 0; n < 4; n += 1) await ask(one, { body: bodyOf({}, 'x'.repeat(20)) }).result;
  const paid: (number | null | undefined)[] = [];
  for (const maxTokens of [null, 24]) {
    const { client, requestId, result } = one.submit({ maxTokens });
    await until(() => client.text.split('some').length > 10);
    client.hangUp();
    assert.equal((await result).outcome, 'client_closed');
    const record = () => one.ports.usageRecords.find((of) => of.requestId === requestId);
    await until(() => record() !== undefined);
    paid.push(record()?.outputTokens);
  }
  assert.deepEqual(paid, [30, 24]);
});

/** What a client is told and its project billed for the prompt of an answer that broke. */
async function promptOf(
  what: { body: Buffer; chunks: number },
  engines: { first: ContinuingOptions; second: ContinuingOptions },
): Promise<number | undefined> {
  const { body, chunks } = what;
  const one = await harness();
  const first = await agentOf(one, { ...engines.first, chunks, next: dies });
  const { client, result } = ask(one, { includeUsage: true, body });
  await until(() => first.agent.requests.length === 1);
  await agentOf(one, engines.second);
  assert.equal((await result).outcome, 'completed');
  await until(() => one.ports.usageRecords.length === 1);
  const told = chunksOf(client).at(-1)?.usage;
  const [record] = one.ports.usageRecords;
  assert.deepEqual(
    [told?.['prompt_tokens'], told?.['completion_tokens']],
    [record?.inputTokens, record?.outputTokens],
  );
  return told?.['prompt_tokens'];
}

test('a prompt costs nothing where the second engine makes fewer tokens of a text', async () => {
  // Sixty tokens by the chunks of the first; the second counts one for all of that turn.
  const body = bodyOf({}, 'x'.repeat(80));
  const engines = { first: { size: 1 }, second: { size: 1, turnTokens: 1 } };
  assert.equal(await promptOf({ body, chunks: 60 }, engines), 7);
});

test('a prompt of 160 tokens costs 30 where the second engine makes fewer of a text', async () => {
  // 330 tokens by the chunks of the first; the second counts 200 for all of that turn.
  const body = bodyOf({}, 'x'.repeat(700));
  const second = { size: 3, promptTokens: 160, turnTokens: 200 };
  const prompt = await promptOf({ body, chunks: 330 }, { first: { size: 2 }, second });
  assert.ok(prompt !== undefined && prompt > 120 && prompt < 200, `${prompt}`);
});

test('a short prompt costs what its body may hold, though both engines count alike', async () => {
  const bias = Object.fromEntries(Array.from({ length: 300 }, (_none, at) => [at, -1]));
  const alike = { size: 1, promptTokens: 47 };
  for (const more of [{}, { logit_bias: bias }]) {
    const body = bodyOf(more, 'x'.repeat(40));
    assert.equal(await promptOf({ body, chunks: 30 }, { first: alike, second: alike }), 47);
  }
});
