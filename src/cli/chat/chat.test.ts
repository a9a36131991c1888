/** Chats against a server whose answers are made up, byte by byte. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { ShownApiKeyAnswer } from '../../api/control/apiKeys.ts';
import type { EndpointAnswer } from '../../api/control/endpoints.ts';
import { FakeClock } from '../../testing/fakeClock.ts';
import {
  cliNow as now,
  openCliHarness,
  refusal,
  wholePage,
  type CannedAnswer,
  type CliHarness,
  type SeenCall,
} from '../../testing/processes/cliHarness.ts';
import { assertGolden } from '../../testing/golden.ts';
import { serverCommands } from '../commands.ts';

let cli: CliHarness;
let clock: FakeClock;

beforeEach(async () => {
  clock = new FakeClock(Date.parse(now));
  cli = await openCliHarness(serverCommands, clock);
});
afterEach(() => cli.close());

const chatPath = '/default/default/v1/chat/completions';
const event = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
const delta = (content: string): string => event({ choices: [{ delta: { content } }] });
const usage = { prompt_tokens: 9, completion_tokens: 3 };

/** An answer of these words. */
function stream(words: readonly string[], reason = 'stop'): CannedAnswer {
  const head = event({ choices: [{ delta: { role: 'assistant', content: '' } }] });
  const tail = event({ choices: [{ delta: {}, finish_reason: reason }] });
  const last = event({ choices: [], usage });
  return {
    text: `${head}${words.map(delta).join('')}${tail}${last}data: [DONE]\n\n`,
    headers: { 'content-type': 'text/event-stream', 'x-xim-agent': 'lab%203' },
  };
}

const messagesOf = (call: SeenCall | undefined): unknown =>
  (call?.body as { messages: unknown } | undefined)?.messages;

test('an answer with anything else on standard output', async () => {
  cli.answers({ [`POST ${chatPath}`]: stream(['Hel', 'lo, ', 'wörld', ' 🌍']) });
  const { code, out, notes } = await cli.run(['chat', 'Say hello']);
  assert.equal(code, 0, notes);
  assert.equal(out, 'Hello, wörld 🌍\n');
  assert.equal(notes, '');
  const [call] = cli.seen;
  assert.equal(call?.headers.authorization, 'Bearer xim_default_a');
  assert.deepEqual(call?.body, {
    model: 'default',
    messages: [{ role: 'user', content: 'Say hello' }],
    stream: true,
    stream_options: { include_usage: true },
  });
});

test('settings, other endpoints or piped text that do not reach the model', async () => {
  cli.answers({ 'POST /other/own/v1/chat/completions': stream(['ok'], 'length') });
  const line = ['chat', 'Sum up', '--endpoint', 'own', '--project', 'other'];
  const more = ['--system', 'Be brief', '--max-tokens', '5', '--temperature', '0.2'];
  const { out, notes } = await cli.run([...line, ...more], {
    lines: ['line one', 'line two'],
    env: { XIM_API_KEY: 'xim_other_k' },
  });
  assert.equal(out, 'ok\n');
  assert.match(notes, /cut off at its longest/);
  const [call] = cli.seen;
  assert.equal(call?.headers.authorization, 'Bearer xim_other_k');
  assert.deepEqual(messagesOf(call), [
    { role: 'system', content: 'Be brief' },
    { role: 'user', content: 'Sum up\n\nline one\nline two' },
  ]);
  const { max_completion_tokens: most, temperature } = (call?.body ?? {}) as Record<
    string,
    unknown
  >;
  assert.deepEqual([most, temperature], [5, 0.2]);
});

test('text on standard input alone, or none at all', async () => {
  cli.answers({ [`POST ${chatPath}`]: stream(['ok']) });
  await cli.run('chat', { lines: ['what?'] });
  assert.deepEqual(messagesOf(cli.seen[0]), [{ role: 'user', content: 'what?' }]);
  const none = await cli.run('chat');
  assert.equal(none.code, 2);
  assert.match(none.notes, /there is no question/);
});

test('JSON in pieces', async () => {
  cli.answers({ [`POST ${chatPath}`]: stream(['a', 'b']) });
  const { out } = await cli.run(['chat', 'x', '-o', 'json']);
  const expected = { text: 'ab', finish_reason: 'stop', agent: 'lab 3', usage };
  assert.deepEqual(JSON.parse(out), expected);
  const talk = await cli.run('chat -o json', { interactive: true });
  assert.equal(talk.code, 2);
});

test('a model that writes to the terminal what only the terminal may', async () => {
  cli.answers({ [`POST ${chatPath}`]: stream(['a\u001b[2Jb\n\tc\u0007']) });
  const screen = await cli.run(['chat', 'x'], { interactive: true });
  assert.equal(screen.out, 'a\uFFFD[2Jb\n\tc\uFFFD\n');
  const file = await cli.run(['chat', 'x']);
  assert.equal(file.out, 'a\u001b[2Jb\n\tc\u0007\n');
});

test('an answer that broke off, taken for a whole one', async () => {
  const cases: [CannedAnswer, number, RegExp][] = [
    [{ text: delta('half') }, 1, /broke before the answer’s end/],
    [{ text: `${delta('half')}data: {\n\n` }, 1, /no JSON/],
    [
      { text: `${delta('half')}${event({ error: { message: 'The agent was lost.' } })}` },
      1,
      /^xim chat: The agent was lost\.$/m,
    ],
    [refusal(503, 'no_agent_available', 'Nobody is there.'), 7, /xim agents list$/m],
    [refusal(503, 'endpoint_inactive', 'It is off.'), 7, /xim endpoints set SLUG --active/],
    [refusal(404, 'endpoint_not_found', 'No such.'), 7, /xim endpoints list/],
    [refusal(429, 'rate_limit_exceeded', 'Too fast.'), 7, /Wait a little/],
    [refusal(401, 'invalid_api_key', 'Wrong key.'), 7, /XIM_API_KEY/],
    [{ cut: true }, 8, /cannot be reached/],
  ];
  for (const [answer, expected, pattern] of cases) {
    cli.answer = () => answer;
    const { code, notes, out } = await cli.run(['chat', 'x']);
    assert.equal(code, expected, notes);
    assert.match(notes, pattern);
    assert.equal(out, answer.text === undefined ? '' : 'half\n');
  }
});

test('a conversation that forgets, or that a cancelled answer ends', async () => {
  let asked = 0;
  cli.answer = ({ url }) => {
    if (url !== chatPath) return undefined;
    asked += 1;
    return stream([`answer ${asked}`]);
  };
  const lines = [
    'first',
    'second \\',
    'half',
    '',
    '^C',
    'third, cancelled',
    '^C',
    '/what',
    '/help',
    '/new',
    'fourth',
  ];
  const { code, out, notes, asked: prompts } = await cli.run('chat', { lines, interactive: true });
  assert.equal(code, 0);
  assertGolden('cli/chat.txt', notes);
  assert.equal(out, 'answer 1\nanswer 2\nanswer 3\n');
  assert.deepEqual(prompts.slice(0, 3), ['> ', '> ', '… ']);
  assert.deepEqual(cli.seen.map(messagesOf), [
    [{ role: 'user', content: 'first' }],
    [
      { role: 'user', content: 'first' },
      { role: 'assistant', content: 'answer 1' },
      { role: 'user', content: 'second \nhalf' },
    ],
    [{ role: 'user', content: 'fourth' }],
  ]);
});

const endpoint = (slug: string): EndpointAnswer => ({
  id: `ep_${slug}`,
  slug,
  tier: 'free',
  model: 'tiny',
  model_id: 'mdl_1',
  active: true,
  fallback: { enabled: true, after_ms: 0, tier: null },
  region: null,
  exclusive: false,
  bound_agents: [],
  minimum_isolation: null,
  resume: false,
  queue_timeout_ms: 30_000,
  base_url: 'http://h',
  created_at: now,
  updated_at: now,
  version: 1,
  agents_ready: 1,
  running: 0,
  waiting: 0,
});

const madeKey: ShownApiKeyAnswer = {
  id: 'key_1',
  name: 'xim chat on lab-1',
  masked: 'xim_nordlab_…c41e',
  scopes: ['inference'],
  endpoint_id: null,
  expires_at: null,
  ip_allow_list: [],
  quota: null,
  state: 'active',
  created_at: now,
  created_by: 'user:usr_1',
  rotated_at: null,
  previous_valid_until: null,
  revoked_at: null,
  last_used_at: null,
  version: 1,
  key: 'xim_nordlab_new',
};

/** A person, signed in, whose context has no key yet. */
async function signedIn(
  endpoints: readonly EndpointAnswer[],
): Promise<Record<string, CannedAnswer>> {
  const project = {
    id: 'proj_1',
    slug: 'nordlab',
    name: 'Nord Lab',
    shared_access: true,
    role: 'owner',
    created_at: now,
    version: 1,
  };
  const session = {
    user: {
      id: 'usr_1',
      email: 'ada@example.org',
      role: 'user',
      has_password: true,
      second_factor: false,
    },
    must_change_password: false,
    projects: [project],
    expires_at: now,
  };
  const table: Record<string, CannedAnswer> = {
    'GET /api/v1/sign-in/options': { body: { oidc: null } },
    'POST /api/v1/sign-in': { body: session, headers: { 'set-cookie': 'xim_session=s' } },
    'GET /api/v1/projects/nordlab/endpoints': { body: wholePage(endpoints) },
    'POST /api/v1/projects/nordlab/api-keys': { status: 201, body: madeKey },
    'POST /nordlab/own/v1/chat/completions': stream(['ok']),
  };
  cli.answers(table);
  const lines = ['ada@example.org', 'pw'];
  await cli.run(`login ${cli.origin} --name lab`, { lines });
  return table;
}

test('a key that is made for every question, or for none', async () => {
  const table = await signedIn([endpoint('own')]);
  const first = await cli.run(['chat', 'x']);
  assert.equal(first.out, 'ok\n', first.notes);
  assert.match(first.notes, /Made the API key "xim chat on lab-1"/);
  const [, made] = cli.seen;
  assert.deepEqual(made?.body, {
    name: 'xim chat on lab-1',
    scopes: ['inference'],
    expires_at: '2026-03-31T12:00:00.000Z',
  });
  const second = await cli.run(['chat', 'x', '--endpoint', 'own']);
  assert.equal(second.notes, '');
  assert.deepEqual(
    cli.seen.map(({ headers }) => headers.authorization),
    ['Bearer xim_nordlab_new'],
  );
  // It has ended: another one is made, once.
  const key = { ...madeKey, key: 'xim_nordlab_newer' };
  cli.answer = (call) => {
    const { authorization } = call.headers;
    if (authorization === 'Bearer xim_nordlab_new') return refusal(401, 'invalid_api_key', 'Old.');
    if (call.url.endsWith('/api-keys')) return { status: 201, body: key };
    return table[`${call.method} ${call.url.split('?')[0]}`];
  };
  assert.equal((await cli.run(['chat', 'x'])).out, 'ok\n');
  const file = path.join(cli.directory, '..', '..', 'config', 'xim', 'contexts', 'lab.json');
  assert.match(readFileSync(file, 'utf8'), /xim_nordlab_newer/);
});

test('somebody who may not make a key, or does not know whom to ask', async () => {
  const table = await signedIn([endpoint('one'), endpoint('two')]);
  const several = await cli.run(['chat', 'x']);
  assert.match(several.notes, /several endpoints.*--endpoint.*: one, two$/m);
  const no = refusal(403, 'insufficient_permissions', 'You are a member.');
  cli.answers({ ...table, 'POST /api/v1/projects/nordlab/api-keys': no });
  const member = await cli.run(['chat', 'x', '--endpoint', 'one']);
  assert.equal(member.code, 7);
  assert.match(member.notes, /API key of nordlab\. Give one in XIM_API_KEY.*xim keys create/);
  cli.answers({ 'GET /api/v1/projects/nordlab/endpoints': { body: wholePage([]) } });
  assert.match((await cli.run(['chat', 'x'])).notes, /xim endpoints create/);
});

test('an endpoint that was chosen, and is not asked', async () => {
  const table = await signedIn([endpoint('one'), endpoint('own')]);
  cli.answers({
    ...table,
    'GET /api/v1/projects/nordlab/endpoints/own': { body: endpoint('own') },
  });
  assert.match((await cli.run('endpoints use own')).out, /xim chat talks to own now/);
  assert.equal((await cli.run(['chat', 'x'])).out, 'ok\n');
});
