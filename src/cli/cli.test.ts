/** Every command against a server that gives canned answers: what is asked, shown and refused. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { AgentAnswer } from '../api/control/agents.ts';
import type { CreatedJoinKeyAnswer } from '../api/control/joinKeys.ts';
import { systemClock } from '../lib/clock.ts';
import { assertGolden } from '../testing/golden.ts';
import { serverCommands } from './commands.ts';
import { runCli } from './runCli.ts';
import type { Credentials } from './serverContext.ts';

const directory = mkdtempSync(path.join(os.tmpdir(), 'xim-cli-'));
const now = '2026-03-01T12:00:00.000Z';
const clock = { ...systemClock, now: () => Date.parse(now) };
let credentials: Credentials;
let seen: { method: string; url: string; key: string; body: unknown }[] = [];
let answer: (url: string) => { status: number; body: unknown };

const server = http.createServer((request, response) => {
  let text = '';
  request.setEncoding('utf8').on('data', (part: string) => (text += part));
  request.on('end', () => {
    seen.push({
      method: request.method ?? '',
      url: request.url ?? '',
      key: request.headers.authorization ?? '',
      body: text === '' ? undefined : JSON.parse(text),
    });
    const { status, body } = answer(request.url ?? '');
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
});

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  credentials = {
    version: 1,
    server: origin,
    pin: null,
    project: 'default',
    endpoint: 'default',
    base_url: `${origin}/default/default/v1`,
    dashboard_url: `${origin}/ui/`,
    api_key: 'xim_default_a',
    management_key: 'xim_default_m',
    admin: { email: 'admin@localhost' },
  };
  writeFileSync(path.join(directory, 'credentials.json'), JSON.stringify(credentials));
});

after(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

async function run(line: string): Promise<{ code: number; out: string; notes: string }> {
  seen = [];
  let out = '';
  let notes = '';
  const terminal = {
    out: (text: string) => void (out += text),
    note: (text: string) => void (notes += text),
  };
  const env = { XIM_DATA_DIR: directory };
  const args = line === '' ? [] : line.split(' ');
  const code = await runCli(serverCommands, { terminal, env, clock }, args);
  return { code, out, notes };
}

const agent: AgentAnswer = {
  id: '0a8d4f63-6f43-4b1a-9f4f-3f2f7b0f6a11',
  worker_id: 'wrk_x',
  name: 'lab-3',
  description: '',
  ownership: 'project',
  region: 'datacenter-3',
  state: 'active',
  state_since: now,
  suspended_reason: null,
  last_seen_at: now,
  created_at: now,
  supported_tiers: null,
  effective_tiers: ['gpu_nvidia_shared', 'self_hosted'],
  max_concurrent_requests: 0,
  bound_endpoint_ids: null,
  storage_limit_bytes: null,
  facts: null,
  agent_version: '0.1.0',
  rtt_ms: 1.4,
  in_flight: 2,
  slots: 8,
  models: [
    {
      model_id: 'm',
      name: 'tiny',
      state: 'fetching',
      received_bytes: 25,
      total_bytes: 100,
      bytes_per_second: 5,
      error: null,
      engine: null,
    },
  ],
};
const away: AgentAnswer = {
  ...agent,
  name: 'rented\u001b[31m',
  state: 'disconnected',
  last_seen_at: '2026-03-01T11:20:00.000Z',
  rtt_ms: null,
  in_flight: null,
  slots: null,
  models: [],
};

const joinKey: CreatedJoinKeyAnswer = {
  id: 'jk_1',
  name: 'lab-3',
  region: 'datacenter-3',
  supported_tiers: null,
  storage_limit_enabled: false,
  storage_limit_bytes: null,
  max_uses: 1,
  uses: 0,
  state: 'open',
  created_at: now,
  expires_at: '2026-03-01T12:15:00.000Z',
  key: 'xjk_1_secret',
  join_command: 'curl -fsS http://h/install.sh | XIM_JOIN_KEY=xjk_1_secret sh',
  join_command_node: "node -e '…' | XIM_JOIN_KEY=xjk_1_secret sh",
  warnings: ['gpu_nvidia_dedicated is deprecated; gpu_nvidia_shared is stored'],
};

test('help that differs from what the table says', async () => {
  assertGolden('cli/help.txt', (await run('')).out);
  assert.deepEqual(await run('--help'), await run('help'));
  for (const { words } of serverCommands) {
    const { out, code } = await run(`${words.join(' ')} --help`);
    assert.equal(code, 0);
    assert.equal((await run(`help ${words.join(' ')}`)).out, out);
    assertGolden(`cli/help-${words.join('-')}.txt`, out);
  }
});

test('a join key that is asked for without its limits, or a line that is not alone', async () => {
  answer = () => ({ status: 201, body: joinKey });
  const line =
    'join-keys create --name lab-3 --region datacenter-3 --tiers self_hosted,gpu_nvidia_shared ' +
    '--ttl 15m --max-uses 1 --storage-limit 2GB';
  const { code, out, notes } = await run(line);
  assert.equal(code, 0);
  assert.equal(out, `${joinKey.join_command}\n`);
  assertGolden('cli/join-keys-create.txt', notes);
  assert.deepEqual(seen, [
    {
      method: 'POST',
      url: '/api/v1/projects/default/join-keys',
      key: 'Bearer xim_default_m',
      body: {
        name: 'lab-3',
        region: 'datacenter-3',
        supported_tiers: ['self_hosted', 'gpu_nvidia_shared'],
        storage_limit_enabled: true,
        storage_limit_bytes: 2_000_000_000,
        max_uses: 1,
        ttl_seconds: 900,
      },
    },
  ]);
});

test('a line for other machines that leads to the machine it is pasted on', async () => {
  const local = 'curl -fsS http://127.0.0.1:8080/install.sh | XIM_JOIN_KEY=xjk_1_secret sh';
  answer = () => ({ status: 201, body: { ...joinKey, join_command: local } });
  const { out, notes } = await run('join-keys create');
  assert.equal(out, `${local}\n`);
  assert.match(notes, /Warning: .*own machine only.*--host 0\.0\.0\.0/);
});

test('JSON output with anything but the answer on standard output', async () => {
  answer = () => ({ status: 201, body: joinKey });
  const { out } = await run('join-keys create --platform -o json');
  assert.deepEqual(JSON.parse(out), joinKey);
  assert.equal(seen[0]?.url, '/api/v1/platform/join-keys');
});

test('a key that would outlive its hour, refused only by the server', async () => {
  const { code, notes } = await run('join-keys create --ttl 2h');
  assert.equal(code, 2);
  assert.match(notes, /--ttl.*at most/);
  assert.deepEqual(seen, []);
});

test('lists that say nothing when they are empty, or show what others can forge', async () => {
  answer = () => ({ status: 200, body: { data: [] } });
  assert.match((await run('agents list')).out, /xim join-keys create/);
  assert.match((await run('join-keys list')).out, /xim join-keys create/);
  assert.equal((await run('requests list')).out, 'No requests yet.\n');
  answer = () => ({ status: 200, body: { data: [agent, away] } });
  assertGolden('cli/agents-list.txt', (await run('agents list')).out);
  answer = () => ({ status: 200, body: { data: [joinKey] } });
  assertGolden('cli/join-keys-list.txt', (await run('join-keys list')).out);
});

test('the last requests without what became of them', async () => {
  const request = {
    id: 'req_1',
    started_at: '2026-03-01T11:59:30.000Z',
    endpoint: 'own',
    tier: 'self_hosted',
    agent: 'lab-3',
    outcome: 'completed',
    status: 200,
    stream: true,
    queue_ms: 0.4,
    ttft_ms: 83.2,
    latency_ms: 1830,
    input_tokens: 12,
    cached_tokens: 0,
    output_tokens: 40,
  };
  const refused = {
    ...request,
    agent: null,
    outcome: 'queue_timeout',
    status: 503,
    ttft_ms: null,
    input_tokens: null,
    output_tokens: null,
  };
  answer = () => ({ status: 200, body: { data: [request, refused] } });
  assertGolden('cli/requests-list.txt', (await run('requests list --limit 2')).out);
  assert.equal(seen[0]?.url, '/api/v1/projects/default/requests?limit=2');
});

test('a status that hides the notices, or that shared agents serve', async () => {
  let agents: AgentAnswer[] = [agent];
  answer = (url) => {
    if (url.endsWith('/agents')) return { status: 200, body: { data: agents } };
    if (url.includes('/endpoints?')) {
      const endpoint = {
        slug: 'own',
        tier: 'self_hosted',
        model: 'tiny',
        active: true,
        agents_ready: 1,
        running: 2,
        waiting: 0,
        base_url: 'http://h/default/own/v1',
      };
      return { status: 200, body: { data: [endpoint] } };
    }
    const body = {
      version: '0.1.0',
      started_at: '2026-03-01T09:00:00.000Z',
      running: 2,
      waiting: 0,
      journal: 'ok',
      notices: [{ code: 'SharedUnsandboxed', message: 'Shared agents run without a sandbox.' }],
      base_url: 'http://h',
    };
    return { status: 200, body };
  };
  assertGolden('cli/status.txt', (await run('status')).out);
  agents = [];
  assert.match((await run('status')).out, /No agents of your own; shared ones serve\. Join one/);
});

test('a revocation that goes to another key', async () => {
  answer = () => ({ status: 200, body: {} });
  assert.equal((await run('join-keys revoke jk_1/..')).code, 0);
  assert.equal(seen[0]?.url, '/api/v1/projects/default/join-keys/jk_1%2F..');
  assert.equal(seen[0]?.method, 'DELETE');
});

test('a refusal without its reason, its next step or its exit code', async () => {
  const envelope = (message: string, code: string) => ({ error: { message, code, type: 'x' } });
  answer = () => ({ status: 401, body: envelope('The key is wrong', 'invalid_api_key') });
  const denied = await run('agents list');
  assert.equal(denied.code, 7);
  assert.match(denied.notes, /^xim agents list: The key is wrong\. .*--context FILE/);
  answer = () => ({ status: 404, body: envelope('There is no such join key.', 'not_found') });
  assert.match((await run('join-keys revoke jk_9')).notes, /There is no such join key\.\n$/);
  answer = () => ({ status: 502, body: '<html>' });
  assert.match((await run('status')).notes, /the server answered 502/);
});

test('credentials that are missing or of another program, without the way on', async () => {
  const none = await run(`status --data-dir ${directory}/nowhere`);
  assert.equal(none.code, 2);
  assert.match(none.notes, /there is no .*nowhere\/credentials\.json\. Start a server first/);
  writeFileSync(path.join(directory, 'other.json'), '{"version":1}');
  const other = await run(`status --context ${directory}/other.json`);
  assert.match(other.notes, /is not a credentials file/);
});

test('a server that is down, taken for a refusal', async () => {
  const gone = { ...credentials, server: 'http://127.0.0.1:1' };
  writeFileSync(path.join(directory, 'gone.json'), JSON.stringify(gone));
  const { code, notes } = await run(`status --context ${directory}/gone.json`);
  assert.equal(code, 8);
  assert.match(notes, /nothing listens there.*xim serve/);
});

test('a command line that is almost right, without a word on what is wrong', async () => {
  const cases: [string, RegExp][] = [
    ['frobnicate', /"frobnicate" is no command/],
    ['join-keys', /say what to do:\n {2}xim join-keys create/],
    ['join-keys revoke', /ID is missing/],
    ['join-keys revoke a b', /"b" is not expected here/],
    ['agents list --frob', /--frob is not a flag/],
    ['--frob', /is no command/],
    ['status -o yaml', /give one of text, json/],
  ];
  for (const [line, expected] of cases) {
    const { code, notes } = await run(line);
    assert.equal(code, 2, line);
    assert.match(notes, expected);
  }
});
