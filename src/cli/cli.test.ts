/** Commands against a server that gives canned answers: what is asked, shown and refused. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { AgentAnswer } from '../api/control/agents.ts';
import type { EndpointAnswer } from '../api/control/endpoints.ts';
import type { CreatedJoinKeyAnswer } from '../api/control/joinKeys.ts';
import type { StatusAnswer } from '../api/control/status.ts';
import { systemClock } from '../lib/clock.ts';
import {
  cliNow as now,
  openCliHarness,
  refusal,
  type CannedAnswer,
  wholePage,
  type CliHarness,
  type CliRun,
} from '../testing/processes/cliHarness.ts';
import { assertGolden } from '../testing/golden.ts';
import { serverCommands } from './commands.ts';
import { commandsOf } from './helpText.ts';
import { topicGroups } from './topics.ts';

const clock = { ...systemClock, now: () => Date.parse(now) };
let cli: CliHarness;
let run: (line: string) => Promise<CliRun>;

before(async () => {
  cli = await openCliHarness(serverCommands, clock);
  run = (line) => cli.run(line);
});
after(() => cli.close());

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
  stop_mode: null,
  last_seen_at: now,
  created_at: now,
  supported_tiers: null,
  effective_tiers: ['gpu_nvidia_shared', 'self_hosted'],
  max_concurrent_requests: 0,
  bound_endpoint_ids: null,
  storage_limit_enabled: false,
  storage_limit_bytes: null,
  storage: null,
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
      abilities: [],
    },
  ],
  penalty: null,
  version: 1,
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

/** What a test makes up for every call. */
function always(body: unknown, status = 200): void {
  cli.answer = () => ({ status, body });
}

test('help that differs from what the table says', async () => {
  assert.deepEqual(await run('--help'), await run('help'));
  const common = (await run('status --help')).out.replace(/^[^]*(?=\nServer:)/, '');
  assert.match(common, /--project[^]*--context[^]*--output/);
  const topics = Object.values(topicGroups).flat();
  for (const { word } of topics) {
    const commands = commandsOf(serverCommands, word);
    let text = '';
    for (const { words } of commands) {
      const { out, code } = await run(`${words.join(' ')} --help`);
      assert.equal(code, 0);
      assert.equal((await run(`help ${words.join(' ')}`)).out, out);
      // What every command about a project has stands once, in the help of `status`.
      const shown = word === 'status' ? out : out.replace(common, '');
      text += `\n$ xim ${words.join(' ')} --help\n${shown}`;
    }
    if (commands.length > 1) {
      const { out } = await run(`${word} --help`);
      assert.equal((await run(`help ${word}`)).out, out);
      text = `$ xim ${word} --help\n${out}${text}`;
    }
    if (text !== '') assertGolden(`cli/help-${word}.txt`, text);
  }
});

test('a join key that is asked for without its limits, or a line that is not alone', async () => {
  always(joinKey, 201);
  const line =
    'join-keys create --name lab-3 --region datacenter-3 --tiers self_hosted,gpu_nvidia_shared ' +
    '--ttl 15m --max-uses 1 --storage-limit 2GB';
  const { code, out, notes } = await run(line);
  assert.equal(code, 0);
  assert.equal(out, `${joinKey.join_command}\n`);
  assertGolden('cli/join-keys-create.txt', notes);
  const [call, ...others] = cli.seen;
  assert.equal(others.length, 0);
  assert.equal(call?.url, '/api/v1/projects/default/join-keys');
  assert.equal(call?.headers.authorization, 'Bearer xim_default_m');
  assert.deepEqual(call?.body, {
    name: 'lab-3',
    region: 'datacenter-3',
    supported_tiers: ['self_hosted', 'gpu_nvidia_shared'],
    storage_limit_enabled: true,
    storage_limit_bytes: 2_000_000_000,
    max_uses: 1,
    ttl_seconds: 900,
  });
});

test('a line for other machines that leads to the machine it is pasted on', async () => {
  const local = 'curl -fsS http://127.0.0.1:8080/install.sh | XIM_JOIN_KEY=xjk_1_secret sh';
  always({ ...joinKey, join_command: local }, 201);
  const { out, notes } = await run('join-keys create');
  assert.equal(out, `${local}\n`);
  assert.match(notes, /Warning: .*own machine only.*--host 0\.0\.0\.0/);
});

test('JSON output with anything but the answer on standard output', async () => {
  always(joinKey, 201);
  const { out } = await run('join-keys create --platform -o json');
  assert.deepEqual(JSON.parse(out), joinKey);
  assert.equal(cli.seen[0]?.url, '/api/v1/platform/join-keys');
});

test('a key that would outlive its hour, refused only by the server', async () => {
  const { code, notes } = await run('join-keys create --ttl 2h');
  assert.equal(code, 2);
  assert.match(notes, /--ttl.*at most/);
  assert.deepEqual(cli.seen, []);
});

function listed(data: readonly object[]): void {
  cli.answer = () => ({ body: wholePage(data) });
}

test('lists that say nothing when they are empty, or show what others can forge', async () => {
  listed([]);
  assert.match((await run('agents list')).out, /xim join-keys create/);
  assert.match((await run('join-keys list')).out, /xim join-keys create/);
  assert.equal((await run('requests list')).out, 'No requests yet.\n');
  listed([agent, away]);
  assertGolden('cli/agents-list.txt', (await run('agents list')).out);
  const { key: _, join_command: _1, join_command_node: _2, warnings: _3, ...shown } = joinKey;
  listed([shown]);
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
    cost: '0.000000',
    model_id: 'mdl_1',
    api_key_id: 'key_1',
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
  listed([request, refused]);
  assertGolden('cli/requests-list.txt', (await run('requests list --limit 2')).out);
  assert.equal(cli.seen[0]?.url, '/api/v1/projects/default/requests?limit=2');
});

test('a status that hides the notices, or that shared agents serve', async () => {
  let agents: AgentAnswer[] = [agent];
  const endpoint: EndpointAnswer = {
    id: 'ep_1',
    slug: 'own',
    tier: 'self_hosted',
    model: 'tiny',
    model_id: 'mdl_1',
    active: true,
    fallback: { enabled: false, after_ms: 0, tier: null },
    region: null,
    exclusive: false,
    bound_agents: [],
    minimum_isolation: null,
    resume: false,
    queue_timeout_ms: 30_000,
    base_url: 'http://h/default/own/v1',
    created_at: now,
    updated_at: now,
    version: 1,
    agents_ready: 1,
    running: 2,
    waiting: 0,
  };
  const status: StatusAnswer = {
    version: '0.1.0',
    started_at: '2026-03-01T09:00:00.000Z',
    now,
    running: 2,
    waiting: 0,
    journal: 'ok',
    notices: [{ code: 'SharedUnsandboxed', message: 'Shared agents run without a sandbox.' }],
    base_url: 'http://h',
  };
  cli.answer = ({ url }) => {
    if (url.includes('/agents?')) return { body: wholePage(agents) };
    return { body: url.includes('/endpoints?') ? wholePage([endpoint]) : status };
  };
  assertGolden('cli/status.txt', (await run('status')).out);
  agents = [];
  assert.match((await run('status')).out, /No agents of your own; shared ones serve\. Join one/);
});

test('an operand that leads to another path', async () => {
  cli.answer = () => refusal(404, 'not_found', 'There is none.');
  await run('endpoints show ../agents?x=1');
  assert.equal(cli.seen[0]?.url, '/api/v1/projects/default/endpoints/..%2Fagents%3Fx%3D1');
});

test('warnings, refusals and files that reach into the terminal of their reader', async () => {
  const evil = 'a\u001b]52;c;Y3VybA==\u0007\u009b2Jb\rc';
  const tame = 'a\uFFFD]52;c;Y3VybA==\uFFFD\uFFFD2Jb\uFFFDc';
  always({ ...joinKey, warnings: [evil] }, 201);
  assert.ok((await run('join-keys create')).notes.startsWith(`Warning: ${tame}\n`));
  cli.answer = () => ({ ...refusal(400, null, `${evil}.`), foreign: true });
  assert.ok((await run('agents list')).notes.startsWith(`xim agents list: ${tame}.\n`));
  cli.answer = () => ({ text: `id\r\n${evil}\r\n` });
  const words = ['requests', 'list', '--csv'];
  assert.equal((await cli.run(words, { interactive: true })).out, `id\n${tame}\n`);
  assert.equal((await cli.run(words)).out, `id\r\n${evil}\r\n`);
  listed([{ ...agent, name: 'lab\u202e3-bal' }]);
  assert.match((await run('agents list')).out, /lab\?3-bal/);
});

test('a refusal without its reason, its next step or its exit code', async () => {
  const cases: [string, CannedAnswer, RegExp][] = [
    ['agents list', refusal(401, 'invalid_api_key', 'The key is wrong'), /wrong\. .*--context/],
    ['endpoints show jk_9', refusal(404, 'not_found', 'There is none.'), /xim endpoints list$/m],
    ['agents list', refusal(404, 'project_not_found', 'No such.'), /xim projects list$/m],
    ['join-keys list --platform', refusal(403, 'insufficient_permissions', 'No.'), /as a person/],
    ['projects create Lab', refusal(401, 'not_signed_in', 'No.'), /as a person: xim login URL$/m],
    ['join-keys create', refusal(400, 'invalid_value', 'No.'), /xim join-keys create --help$/m],
    ['status', refusal(503, 'store_unavailable', 'Away.'), /in a moment/],
    ['status', { status: 502, body: '<html>', foreign: true }, /the server answered 502/],
  ];
  for (const [line, answer, expected] of cases) {
    cli.answer = () => answer;
    const { code, notes } = await run(line);
    assert.equal(code, 7, line);
    assert.match(notes, expected);
    assert.ok(notes.startsWith(`xim ${line.split(/ (?=jk_|--|Lab)/)[0]}: `), notes);
  }
});

const uuid = '11111111-1111-4111-8111-111111111111';

test('a slug below the platform is told that there is nothing at this address', async () => {
  const { code, notes } = await run(`agents set ${uuid} --platform --endpoints chat`);
  assert.equal(code, 2);
  assert.match(notes, /"chat" is a slug, .*give the id of the endpoint/);
});

test('credentials that are missing or of another program, without the way on', async () => {
  const none = await run(`status --data-dir ${cli.directory}/nowhere`);
  assert.equal(none.code, 2);
  assert.match(none.notes, /there is no .*nowhere\/credentials\.json\. Sign in to a server/);
  writeFileSync(path.join(cli.directory, 'other.json'), '{"version":1}');
  const other = await run(`status --context ${cli.directory}/other.json`);
  assert.match(other.notes, /is not a credentials file/);
  assert.match((await run('status --context other')).notes, /no context "other".*xim login/);
});

test('a server that is down, taken for a refusal', async () => {
  const gone = { ...cli.credentials, server: 'http://127.0.0.1:1' };
  writeFileSync(path.join(cli.directory, 'gone.json'), JSON.stringify(gone));
  const { code, notes } = await run(`status --context ${cli.directory}/gone.json`);
  assert.equal(code, 8);
  assert.match(notes, /nothing listens there.*xim serve/);
});

test('a key that is made twice, or not at all, because a connection broke', async () => {
  let calls = 0;
  cli.answer = () =>
    (calls += 1) === 1 ? { body: null, cut: true } : { status: 201, body: joinKey };
  assert.equal((await run('join-keys create')).code, 0);
  const id = 'key_00000000000000000000000001';
  const keys = cli.seen.map(({ headers }) => headers['idempotency-key']);
  assert.equal(keys.length, 2);
  assert.match(String(keys[0]), /^\w{26}$/);
  assert.equal(keys[0], keys[1]);
  cli.answer = () => ({ body: null, cut: true });
  const gone = await run(`keys revoke ${id} --yes`);
  assert.equal(gone.code, 8);
  assert.equal(cli.seen.length, 1);
});

test('a command line that is almost right, without a word on what is wrong', async () => {
  const cases: [string, RegExp][] = [
    ['frobnicate', /"frobnicate" is no command/],
    ['help frobnicate', /"frobnicate" is no command/],
    ['join-keys frob', /"frob" is not one of its commands/],
    ['join-keys', /say what to do:\n {2}xim join-keys create/],
    ['join-keys revoke', /ID is missing/],
    ['join-keys revoke a b', /"b" is not expected here/],
    ['agents list --frob', /--frob is not a flag/],
    ['--frob', /is no command/],
    ['status -o yaml', /give one of table, json/],
  ];
  for (const [line, expected] of cases) {
    const { code, notes } = await run(line);
    assert.equal(code, 2, line);
    assert.match(notes, expected);
  }
});
