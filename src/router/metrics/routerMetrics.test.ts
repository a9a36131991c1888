import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { readMetrics, valueOf } from '../../testing/router/readMetrics.ts';
import { continues } from '../../testing/links/continuingAgent.ts';
import {
  diesAfter,
  eventOf,
  refuses,
  streams,
  type Script,
  type FakeRequest,
} from '../../testing/links/fakeAgent.ts';
import { apiKeyEntry, endpointEntry, projectEntry } from '../../testing/router/directoryEntries.ts';
import { RouterHarness, until } from '../../testing/router/routerHarness.ts';

const made: RouterHarness[] = [];
after(async () => {
  for (const one of made) await one.router.stop();
});

async function harness(): Promise<RouterHarness> {
  const one = new RouterHarness();
  made.push(one);
  await one.router.start();
  return one;
}

test('a request that is counted under no outcome, or under two', async () => {
  const one = await harness();
  const { agent } = await one.agent({ script: streams('a', 'b') });
  await one.submit().result;
  agent.script = refuses('engine_failed');
  await one.submit().result;
  agent.script = diesAfter(eventOf('a'));
  await one.submit().result;
  const families = readMetrics(one.router.metrics());
  const requests = families.get('xim_requests_total')?.samples ?? [];
  const outcomes = requests.map(({ labels, value }) => [labels['outcome'], value]);
  assert.deepEqual(outcomes, [
    ['completed', 1],
    ['upstream_error', 1],
    ['stream_error', 1],
  ]);
  assert.equal(valueOf(families, 'xim_request_ttft_seconds_count'), 1);
  assert.equal(valueOf(families, 'xim_request_wait_seconds_count'), 3);
  const failures = families.get('xim_attempt_failures_total')?.samples ?? [];
  assert.deepEqual(
    failures.map(({ labels }) => labels['phase']),
    ['before_first_byte', 'after_first_byte'],
  );
});

test('a stream that was saved, or an agent that was put aside, and nobody counts it', async () => {
  const one = await harness();
  const abilities = ['chat', 'continue'];
  const breaks: Script = (request) => request.stream.reset('engine_failed');
  const first = await one.agent({ script: continues({ chunks: 2, next: breaks }), abilities });
  const body = Buffer.from(JSON.stringify({ messages: [{ role: 'user', content: 'abcdef' }] }));
  const { result } = one.submit({ resume: true, body });
  await until(() => first.agent.requests.length === 1);
  await one.agent({ script: continues(), abilities });
  assert.equal((await result).outcome, 'completed');
  const families = readMetrics(one.router.metrics());
  assert.equal(valueOf(families, 'xim_resumed_requests_total', { outcome: 'completed' }), 1);
  assert.equal(valueOf(families, 'xim_penalties_total'), 1);
  assert.equal(valueOf(families, 'xim_agents_penalized'), 1);
  assert.equal(valueOf(families, 'xim_requests_total'), 1);
});

test('slots, links or agents that are counted wrong', async () => {
  const one = await harness();
  one.enrol();
  await one.agent({ slots: 3, script: streams('x') });
  await one.agent({ slots: 2, entry: { projectId: 'proj_a' }, script: streams('x') });
  const families = readMetrics(one.router.metrics());
  assert.equal(valueOf(families, 'xim_slots', { ownership: 'shared' }), 3);
  assert.equal(valueOf(families, 'xim_slots', { ownership: 'own' }), 2);
  assert.equal(valueOf(families, 'xim_links'), 2);
  const active = { state: 'active', ownership: 'shared' };
  assert.equal(valueOf(families, 'xim_agents', active), 1);
  const agents = families.get('xim_agents')?.samples ?? [];
  assert.equal(
    agents.reduce((sum, { value }) => sum + value, 0),
    3,
  );
});

test('projects, keys or agents that make series without end', async () => {
  const one = await harness();
  const names = Array.from({ length: 60 }, (_, at) => `stranger${at}`);
  await one.agent({ slots: 4, script: streams('x') });
  // Whatever a client can make up: who it is, what it calls, how it asks and how it leaves.
  const results = names.map(async (name, at) => {
    const { client, result } = one.submit({
      project: projectEntry({ id: `proj_${name}`, slug: name }),
      apiKey: apiKeyEntry({ id: `key_${name}`, projectId: `proj_${name}` }),
      endpoint: endpointEntry({ id: `end_${name}`, slug: name, projectId: `proj_${name}` }),
      region: name.slice(0, 24),
      abilities: at % 7 === 0 ? [name] : [],
      stream: at % 2 === 0,
    });
    if (at % 5 === 0) client.hangUp();
    await result;
  });
  await Promise.all(results);
  await until(() => one.router.audit().openAttempts === 0);
  const text = one.router.metrics();
  for (const name of names) assert.ok(!text.includes(name), `a label names ${name}`);
  const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  assert.ok(series.length < 400, `${series.length} series after 60 strangers`);
});

test('what engines have room for, or hold of prompts, is to be seen nowhere', async () => {
  const one = await harness();
  const held: FakeRequest[] = [];
  const linked = await one.agent({ slots: 4, script: (request) => void held.push(request) });
  const told = (name: string): number | undefined =>
    valueOf(readMetrics(one.router.metrics()), name);
  assert.deepEqual([told('xim_engine_room_tokens'), told('xim_prefix_blocks')], [0, 0]);
  const engine = { instance: 'engine-2', modelId: 'model_a', slots: 4, engine: 'vllm' } as const;
  linked.agent.grant([{ ...engine, abilities: ['chat'], holdsTokens: 10_000 }]);
  await until(() => told('xim_engine_room_tokens') === 8000);
  assert.equal(told('xim_engine_room_used_tokens'), 0);
  const { result } = one.submit({ body: Buffer.alloc(4096) });
  await until(() => held.length === 1);
  assert.ok((told('xim_engine_room_used_tokens') ?? 0) > 1000);
  assert.equal(told('xim_prefix_blocks'), 4);
  for (const request of held) await streams('x')(request, linked.agent);
  await result;
  assert.equal(told('xim_engine_room_used_tokens'), 0);
});
