/** HTTP, control plane, router and link together; only the agent's engine is a fake. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, afterEach, before, test } from 'node:test';
import OpenAI from 'openai';
import type { AgentAnswer } from '../api/control/agents.ts';
import type { EndpointAnswer } from '../api/control/endpoints.ts';
import type { RequestAnswer } from '../api/control/requests.ts';
import type { Router } from '../router/router.ts';
import { enrolledAgent } from '../testing/http/controlHarness.ts';
import {
  diesAfter,
  diesAtOnce,
  echoes,
  eventOf,
  stalls,
  type FakeAgent,
} from '../testing/links/fakeAgent.ts';
import { openPlatformHarness, type HttpHarness } from '../testing/http/httpHarness.ts';
import { joinOverHttp } from '../testing/links/joinOverHttp.ts';
import { until } from '../testing/router/routerHarness.ts';

let harness: HttpHarness<Router>;
let agent: FakeAgent;
let page: Record<string, string>;
before(async () => {
  harness = await openPlatformHarness();
  page = await harness.signIn();
  agent = await joinOverHttp(harness);
});
after(() => harness.close());
afterEach(async () => {
  agent.script = echoes;
  await until(() => harness.router.audit().requests === 0);
  assert.deepEqual(harness.router.audit(), {
    claims: 0,
    inFlight: 0,
    reserved: 0,
    onLinks: 0,
    openAttempts: 0,
    requests: 0,
    waitingBytes: 0,
    waitingProjects: 0,
  });
});

const path = '/default/own/v1/chat/completions';
const messages = [{ role: 'user' as const, content: 'hi' }];

function client(): OpenAI {
  const { apiKey } = harness.credentials;
  return new OpenAI({ apiKey, baseURL: `${harness.base}/default/own/v1`, maxRetries: 0 });
}

test('a request that does not come back from the machine that joined', async () => {
  const { apiKey: key } = harness.credentials;
  const reply = await harness.call('POST', path, { key, body: { messages } });
  assert.deepEqual([reply.status, reply.json], [200, { ok: true }]);
  assert.equal(reply.headers['x-xim-agent'], 'desk');
  assert.equal(reply.headers['x-xim-isolation'], 'dedicated');
  assert.equal(reply.headers['content-length'], '11');
});

test('a stream that loses an event on its way', async () => {
  const stream = await client().chat.completions.create({ model: 'x', messages, stream: true });
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  assert.equal(text, 'Hello world');
});

test('an abort that leaves the engine running', async () => {
  agent.script = stalls('a');
  const stream = await client().chat.completions.create({ model: 'x', messages, stream: true });
  for await (const chunk of stream) {
    assert.equal(chunk.choices[0]?.delta.content, 'a');
    stream.controller.abort();
  }
  const request = agent.requests.at(-1);
  await until(() => request?.reset !== undefined);
  assert.equal(request?.reset, 'cancelled');
});

test('a request that waits, and a client that leaves while it does', async () => {
  agent.script = stalls();
  const { apiKey: key } = harness.credentials;
  const send = (): http.ClientRequest => {
    const headers = { authorization: `Bearer ${key}` };
    const outgoing = http.request({ method: 'POST', port: harness.port, path, headers });
    outgoing.on('error', () => {});
    outgoing.end(JSON.stringify({ messages }));
    return outgoing;
  };
  const clients = [send(), send(), send()];
  await until(() => harness.router.stats().waiting === 1 && harness.router.stats().running === 2);
  for (const one of clients) one.destroy();
  await until(() => harness.router.stats().waiting === 0 && harness.router.stats().running === 0);
});

test('an agent that dies before the first byte, and an answer that does not say so', async () => {
  agent.script = diesAtOnce;
  const { apiKey: key } = harness.credentials;
  const pending = harness.call('POST', path, { key, body: { messages } });
  await until(() => agent.closed !== undefined);
  // Nobody else is enrolled: the next machine that joins gets the request.
  agent = await joinOverHttp(harness);
  const reply = await pending;
  assert.ok([200, 502].includes(reply.status), reply.text);
});

test('an agent that dies in the middle of a stream, which then looks whole', async () => {
  agent.script = diesAfter(eventOf('half'));
  const { apiKey: key } = harness.credentials;
  const body = { messages, stream: true };
  const reply = await harness.call('POST', path, { key, body });
  assert.equal(reply.status, 200);
  const events = reply.text.trimEnd().split('\n\n');
  assert.equal(events.length, 3);
  const failed = JSON.parse(events[1]?.slice('data: '.length) ?? '') as { error: { code: string } };
  assert.equal(failed.error.code, 'upstream_error');
  assert.equal(events[2], 'data: [DONE]');
  agent = await joinOverHttp(harness);
});

test('the dashboard’s numbers, which say nothing of what happened', async () => {
  const { apiKey: key } = harness.credentials;
  const { headers } = await harness.call('POST', path, { key, body: { messages } });
  const project = '/api/v1/projects/default';
  const read = async <Item>(what: string): Promise<Item[]> => {
    const reply = await harness.call('GET', `${project}/${what}`, { headers: page });
    return (reply.json as { data: Item[] }).data;
  };
  const agents = await read<AgentAnswer>('agents');
  const live = agents.find(({ id }) => id === agent.identity.agentId);
  assert.equal(live?.state, 'active');
  assert.deepEqual([live?.in_flight, live?.slots], [0, 2]);
  assert.equal(live?.agent_version, '0.1.0');
  const endpoints = await read<EndpointAnswer>('endpoints');
  assert.equal(endpoints.find(({ slug }) => slug === 'own')?.agents_ready, 1);
  let requests = await read<RequestAnswer>('requests');
  while (!requests.some(({ id }) => id === headers['x-request-id'])) {
    requests = await read<RequestAnswer>('requests');
  }
  const mine = requests.find(({ id }) => id === headers['x-request-id']);
  assert.deepEqual([mine?.outcome, mine?.status, mine?.agent], ['completed', 200, live?.name]);
  assert.deepEqual([mine?.input_tokens, mine?.output_tokens], [5, 3]);
  const metrics = await harness.call('GET', '/metrics');
  assert.match(metrics.text, /xim_requests_total\{outcome="completed",[^}]*\} \d+/);
  assert.match(metrics.text, /xim_agents\{[^}]*\} 1/);
});

test('an agent that works on after its owner has suspended it', async () => {
  const target = `/api/v1/projects/default/agents/${agent.identity.agentId}`;
  const reply = await harness.call('POST', `${target}/suspend`, { headers: page, body: {} });
  assert.equal((reply.json as AgentAnswer).state, 'suspended');
  await until(() => agent.closed !== undefined || agent.goaways.includes('suspended'));
  const resumed = await harness.call('POST', `${target}/resume`, { headers: page, body: {} });
  assert.equal(resumed.status, 200);
  agent = await joinOverHttp(harness);
});

test('a stop that leaves a client without an answer', async () => {
  const last = await openPlatformHarness({ limits: { drainMs: 50 } });
  try {
    // Enrolled and not linked: the request waits for it.
    await enrolledAgent(last);
    await until(() => [...last.router.directory.agents()].length === 1);
    const { apiKey: key } = last.credentials;
    const pending = last.call('POST', path, { key, body: { messages } });
    await until(() => last.router.stats().waiting === 1);
    const drained = Promise.all([last.router.drain(0), last.server.drain()]);
    const reply = await pending;
    assert.equal(reply.status, 503);
    await drained;
    await assert.rejects(last.call('GET', '/healthz'));
  } finally {
    await last.close();
  }
});

test('the answer to a change of an endpoint has the figures from before it', async () => {
  const place = '/api/v1/projects/default/endpoints/own';
  const readyOn = async (tier: string): Promise<number> => {
    const headers = page;
    const reply = await harness.call('PATCH', place, { headers, body: { tier } });
    assert.equal(reply.status, 200, reply.text);
    return (reply.json as EndpointAnswer).agents_ready;
  };
  assert.deepEqual([await readyOn('gpu_intel_shared'), await readyOn('self_hosted')], [0, 1]);
});
