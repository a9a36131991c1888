/** Logs over HTTP: a real router and real links, and agents that say what the test wants. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test, type TestContext } from 'node:test';
import type { LogAnswer, LogEntryAnswer } from '../../api/control/logs.ts';
import type { LogMessage } from '../../protocol/messages/agentControl.ts';
import type { Router } from '../../router/router.ts';
import type { FakeAgent } from '../../testing/links/fakeAgent.ts';
import {
  openPlatformHarness,
  type HttpHarness,
  type Reply,
} from '../../testing/http/httpHarness.ts';
import { openSession } from '../../testing/cast.ts';
import { joinOverHttp } from '../../testing/links/joinOverHttp.ts';
import { auditNote, userRow } from '../../testing/database/storeRows.ts';
import { until } from '../../testing/until.ts';

let harness: HttpHarness<Router>;
let operator: Record<string, string>;
let agent: FakeAgent;
let shared: FakeAgent;
before(async () => {
  const rechecks = { liveRecheckMs: 20, liveIntervalMs: 20 };
  const limits = { liveClients: 4, liveClientsPerOwner: 3, ...rechecks };
  harness = await openPlatformHarness({ limits });
  operator = await harness.signIn();
  agent = await joinOverHttp(harness);
  shared = await joinOverHttp(harness, { shared: true });
});
after(() => harness.close());

const project = '/api/v1/projects/default';
const logsOf = ({ identity }: FakeAgent): string => `${project}/agents/${identity.agentId}/logs`;

const asOwner = (path: string): Promise<Reply> =>
  harness.call('GET', path, { key: harness.credentials.managementKey });
const asOperator = (path: string): Promise<Reply> =>
  harness.call('GET', path, { headers: operator });

function read(reply: Reply): LogAnswer {
  assert.equal(reply.status, 200, reply.text);
  return reply.json as LogAnswer;
}

/** Texts; gaps as numbers. */
const texts = (entries: readonly LogEntryAnswer[]): (string | number | null)[] =>
  entries.map((entry) => (entry.kind === 'line' ? entry.text : entry.lines));

type Line = Partial<LogMessage['lines'][number]>;

function say(from: FakeAgent, said: readonly (string | Line)[], dropped = 0): void {
  const lines = said.map((line) => ({
    atMs: Date.UTC(2026, 0, 1),
    level: 'info' as const,
    source: 'engine' as const,
    text: '',
    ...(typeof line === 'string' ? { text: line } : line),
  }));
  from.peer.send({ type: 'log', lines, dropped });
}

/** Waits until the server has a line with this text. */
async function arrived(path: string, text: string): Promise<void> {
  await until(async () => texts(read(await asOwner(path)).data).includes(text));
}

test('lines are shown out of order, twice or never to somebody who asks again', async () => {
  const path = logsOf(agent);
  say(agent, ['1', '2', '3']);
  await arrived(path, '3');
  const first = read(await asOwner(`${path}?limit=2`));
  assert.deepEqual([texts(first.data), first.has_more], [['2', '3'], false]);
  say(agent, ['4', '5', '6'], 7);
  await arrived(path, '6');
  const next = read(await asOwner(`${path}?limit=2&after=${first.next_cursor}`));
  assert.deepEqual([texts(next.data), next.has_more], [[7, '4'], true]);
  const last = read(await asOwner(`${path}?after=${next.next_cursor}`));
  assert.deepEqual([texts(last.data), last.has_more], [['5', '6'], false]);
  const odd = await asOwner(`${path}?after=abc`);
  assert.equal(odd.status, 400);
  assert.equal((await asOwner(`${path}?limit=10001`)).status, 400);
  const [line] = last.data;
  assert.ok(line?.kind === 'line');
  assert.deepEqual(
    [line.at, line.level, line.source, line.request_id],
    ['2026-01-01T00:00:00.000Z', 'info', 'engine', null],
  );
});

interface Followed {
  entries: LogEntryAnswer[];
  ids: string[];
  comments: () => number;
  ended: () => boolean;
  leave: () => void;
}

/** Follows a log over a socket of its own. */
async function follow(
  t: TestContext,
  path: string,
  by: { lastEventId?: string; headers?: Record<string, string> } = {},
): Promise<Followed> {
  const entries: LogEntryAnswer[] = [];
  const ids: string[] = [];
  let text = '';
  let ended = false;
  const headers = {
    ...(by.headers ?? { authorization: `Bearer ${harness.credentials.managementKey}` }),
    ...(by.lastEventId === undefined ? {} : { 'last-event-id': by.lastEventId }),
  };
  const target = { host: '127.0.0.1', port: harness.port, path, headers, agent: false };
  const request = http.get(target);
  t.after(() => request.destroy());
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
  });
  assert.equal(response.statusCode, 200);
  assert.match(response.headers['content-type'] ?? '', /^text\/event-stream/);
  response.setEncoding('utf8');
  let rest = '';
  response.on('data', (piece: string) => {
    text += piece;
    const blocks = (rest + piece).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (data === undefined) continue;
      entries.push(JSON.parse(data) as LogEntryAnswer);
      ids.push(/^id: (.*)$/m.exec(block)?.[1] ?? '');
    }
  });
  response.once('close', () => (ended = true));
  request.on('error', () => {});
  const comments = (): number => text.split('\n').filter((line) => line.startsWith(':')).length;
  return { entries, ids, comments, ended: () => ended, leave: () => request.destroy() };
}

test('somebody who follows waits for a line, or sees ten thousand in another order', async (t) => {
  const path = `${logsOf(agent)}?follow=true&limit=1`;
  say(agent, ['before']);
  await arrived(logsOf(agent), 'before');
  const followed = await follow(t, path);
  await until(() => followed.entries.length === 1);
  assert.deepEqual(texts(followed.entries), ['before']);
  const many = Array.from({ length: 5_000 }, (_none, at) => `line ${at}`);
  for (let at = 0; at < many.length; at += 200) say(agent, many.slice(at, at + 200));
  await until(() => followed.entries.length === 5_001);
  assert.deepEqual(texts(followed.entries), ['before', ...many]);
  followed.leave();
  // From the last event that was seen, as browsers do.
  const again = await follow(t, path, { lastEventId: followed.ids.at(-3) ?? '' });
  await until(() => again.entries.length === 2);
  assert.deepEqual(texts(again.entries), many.slice(-2));
  say(agent, ['after the break'], 3);
  await until(() => again.entries.length === 4);
  assert.deepEqual(texts(again.entries).slice(2), [3, 'after the break']);
  again.leave();
});

test('a line that acts on a terminal or a page, or shows a secret, gets through', async (t) => {
  const followed = await follow(t, `${logsOf(agent)}?follow=true&limit=1`);
  const hostile = [
    'tidy',
    '\u001b]0;owned\u0007\u001b[2J',
    'a\r\ndata: {"kind":"line","text":"forged"}\n\nevent: line',
    '\u202etxt.exe\u2028\u0000',
    'key xjk_0123abc_Zm9vYmFyYmF6Zm9v and Authorization: Bearer abcdefghijkl',
    '<script>alert(1)</script>',
    'x'.repeat(4_000),
  ];
  say(agent, hostile);
  say(agent, [{ text: 'times', atMs: 1e300 }, { text: 'ids', requestId: '"><img>' }, 'end']);
  await until(() => texts(followed.entries).includes('end'));
  const seen = texts(followed.entries.slice(1));
  assert.deepEqual(seen, [
    'tidy',
    '\\u001b]0;owned\\u0007\\u001b[2J',
    'a\\u000d\\u000adata: {"kind":"line","text":"forged"}\\u000a\\u000aevent: line',
    '\\u202etxt.exe\\u2028\\u0000',
    'key [secret] and Authorization: Bearer [secret]',
    '<script>alert(1)</script>',
    'x'.repeat(4_000),
    'times',
    'ids',
    'end',
  ]);
  const ids = followed.entries.at(-2);
  assert.equal(ids?.kind === 'line' ? ids.request_id : undefined, null);
  followed.leave();
});

test('a shared agent’s line is seen by another than whose request it is about', async () => {
  const { apiKey: key } = harness.credentials;
  agent.grantSlots(0);
  await until(() => harness.router.agent(agent.identity.agentId)?.slots === 0);
  const reply = await harness.call('POST', '/default/default/v1/chat/completions', {
    key,
    body: { messages: [{ role: 'user', content: 'hi' }] },
  });
  assert.equal(reply.status, 200, reply.text);
  assert.equal(reply.headers['x-xim-agent'], 'shared');
  const requestId = String(reply.headers['x-request-id']);
  say(shared, [
    { text: 'of the request', requestId },
    { text: 'forged', requestId: 'req_other' },
  ]);
  say(shared, ['of the machine']);
  const { agentId } = shared.identity;
  const machine = `/api/v1/platform/agents/${agentId}/logs`;
  await until(async () => texts(read(await asOperator(machine)).data).includes('of the machine'));
  assert.deepEqual(texts(read(await asOperator(machine)).data), ['of the machine']);
  const own = read(await asOwner(`${project}/logs`)).data;
  assert.deepEqual(texts(own), ['of the request']);
  assert.equal(own[0]?.kind === 'line' ? own[0].request_id : '', requestId);
  assert.equal((await asOwner(`${project}/agents/${agentId}/logs`)).status, 404);
  assert.equal((await asOwner(machine)).status, 403);
});

test('an operator who is none any more goes on watching, by a stream of before', async (t) => {
  const { store, clock } = harness;
  const audit = auditNote({ targetKind: 'user' });
  const user = userRow({ id: 'user_2', email: 'second@example.org', mustChangePassword: false });
  await store.insertUser({ user, audit });
  const headers = { cookie: await openSession({ store, clock }, { userId: user.id }) };
  const machine = `/api/v1/platform/agents/${shared.identity.agentId}/logs?follow=true`;
  const log = await follow(t, machine, { headers });
  const live = await follow(t, `${project}/live`, { headers });
  const change = { role: 'user' } as const;
  const demoted = await store.updateUser({ id: user.id, expectedVersion: null, change, audit });
  assert.ok(demoted.ok);
  await until(() => {
    say(shared, ['news']);
    return log.ended() && live.ended();
  });
});

test('followers without number, a project that shuts others out, a log of the dead', async (t) => {
  const path = `${logsOf(agent)}?follow=true&limit=1`;
  const three = [await follow(t, path), await follow(t, path), await follow(t, path)];
  for (const target of [path, `/api/v1/projects/${harness.credentials.project.id}/live`]) {
    const fourth = await asOwner(target);
    assert.equal(fourth.status, 429);
    assert.match(fourth.text, /one project at once.*"code":"concurrency_exceeded"/);
  }
  const machine = `/api/v1/platform/agents/${shared.identity.agentId}/logs?follow=true`;
  const operators = await follow(t, machine, { headers: operator });
  assert.match((await asOperator(machine)).text, /At most 4 clients.*"concurrency_exceeded"/);
  operators.leave();
  for (const one of three) one.leave();
  await until(async () => {
    const reply = await harness.call('GET', path, {
      key: harness.credentials.managementKey,
      headOnly: true,
    });
    return reply.status === 200;
  });
  const target = logsOf(agent).replace('/logs', '');
  const { managementKey: key } = harness.credentials;
  const removed = await harness.call('DELETE', target, { key, body: { mode: 'cut' } });
  assert.equal(removed.status, 200);
  await until(async () => read(await asOwner(logsOf(agent))).data.length === 0);
  assert.equal((await asOwner(path)).status, 409);
});
