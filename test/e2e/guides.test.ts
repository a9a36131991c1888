/**
 * The guides, tried as written: the shell blocks of every page in docs/operating against one real
 * server, with nothing changed but its address and its password. Which blocks are run, says
 * `src/testing/processes/guide.ts`.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { joinAgent } from '../../src/testing/processes/agentProcess.ts';
import { startFakeEngine, type FakeEngine } from '../../src/testing/engines/fakeEngine.ts';
import { guideBlocks, guideScript } from '../../src/testing/processes/guide.ts';
import { endLeftovers, repository, startProcess } from '../../src/testing/processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
  type ServerProcess,
} from '../../src/testing/processes/serverProcess.ts';
import { systemBinary } from '../../src/testing/processes/systemBinary.ts';

/** What the page about people puts in the place of the one-time password. */
const chosen = 'a longer one of mine';
const model = 'SmolLM2-135M-Instruct';
const folder = path.join(repository, 'docs', 'operating');
/** Pages that leave something behind which others come upon; the rest follow the alphabet. */
const first = ['people-and-keys.md', 'endpoints-and-fallback.md', 'cli.md'];
const last = ['agent-lifecycle.md'];
const curl = systemBinary({ names: ['curl'], debianPackage: 'curl' });

let base: Awaited<ReturnType<typeof temporaryDirectory>>;
let engine: FakeEngine | undefined;
let server: ServerProcess;
/** Stands where the pages have a request's id. */
let requestId = '';
const place = (...names: string[]): string => path.join(base.path, ...names);

/** One reader goes through all pages: a checkout that is a home, too, and a machine that joined. */
before(async () => {
  base = await temporaryDirectory('guides');
  if (curl.kind === 'missing') return;
  engine = await startFakeEngine({ models: [model] });
  mkdirSync(place('programs'));
  writeStrictCurl(curl.path);
  symlinkSync(path.join(repository, 'bin'), place('bin'));
  execFileSync('git', ['init', '--quiet', base.path]);
  mkdirSync(place('.local', 'share'), { recursive: true });
  const dataDir = place('.local', 'share', 'xim');
  server = await startServerProcess({
    dataDir,
    args: ['--engine-url', engine.url, '--model', model],
  });
  const joining = { stateDir: place('lab-3'), engineUrl: engine.url, flags: ['--name', 'lab-3'] };
  await joinAgent(server, joining);
  requestId = await answeredRequest(server);
  writeFileSync(place('key.txt'), server.credentials().management_key);
  writeFileSync(place('report.txt'), 'All is well.');
  writeFileSync(place('conversation_trace.jsonl'), shortTrace());
});
after(async () => {
  endLeftovers();
  await engine?.close();
  await base.remove();
});

async function answeredRequest({ ready }: ServerProcess): Promise<string> {
  const answer = await fetch(`${ready.base_url}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ready.api_key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Say something.' }] }),
  });
  assert.equal(answer.status, 200, await answer.text());
  return answer.headers.get('x-request-id') ?? '';
}

/** In the form of the traces that the guides name, which are no part of the project. */
function shortTrace(): string {
  const requests = Array.from({ length: 20 }, (_none, at) =>
    JSON.stringify({
      timestamp: at * 250,
      input_length: 1_200,
      output_length: 60,
      hash_ids: [1, 2, 10 + at],
    }),
  );
  return requests.join('\n');
}

/** A refusal is a failure here: `curl -s` alone would print it and call it a success. */
function writeStrictCurl(real: string): void {
  const file = place('programs', 'curl');
  writeFileSync(file, `#!/bin/sh\nexec ${real} --fail-with-body "$@"\n`);
  chmodSync(file, 0o755);
}

const tried = readdirSync(folder).filter(
  (name) => !first.includes(name) && !last.includes(name) && scriptOf(name) !== undefined,
);

/** Undefined when there is nothing to run. `XIM` and `KEY` are as the page about the API says. */
function scriptOf(name: string): string | undefined {
  const blocks = guideBlocks(path.join(folder, name));
  if (!blocks.some(({ info }) => /^sh( endless)?$/.test(info))) return undefined;
  const [session] = guideBlocks(path.join(folder, 'api.md'));
  assert.ok(session !== undefined && session.text.includes('export KEY='));
  return guideScript([session, ...blocks]);
}

async function follow(name: string): Promise<void> {
  const { origin, host } = new URL(server.ready.base_url);
  const script = (scriptOf(name) ?? '')
    .replaceAll(/http:\/\/127\.0\.0\.1:8080|https:\/\/xim\.example\.org/g, origin)
    .replaceAll('xim-example-org', host.replaceAll(/[.:]/g, '-'))
    .replaceAll('req_01k7hn2b6zd8rt', requestId)
    .replaceAll('THE ONE-TIME PASSWORD', server.ready.admin.password ?? '');
  const shell = startProcess('bash', ['-c', script], {
    cwd: base.path,
    env: {
      HOME: base.path,
      XDG_DATA_HOME: place('.local', 'share'),
      XDG_CONFIG_HOME: place('.config'),
      // What the first `xim` has compiled, the others need not.
      NODE_COMPILE_CACHE: place('compiled'),
      PATH: [place('programs'), place('bin'), process.env['PATH']].join(':'),
    },
    group: true,
  });
  // What is typed where a program asks for somebody's address and password.
  shell.child.stdin?.end(`${server.ready.admin.email}\n${chosen}\n`);
  const code = await shell.exited;
  await shell.end('SIGKILL');
  assert.equal(code, 0, `${shell.err()}\n--- standard output\n${shell.out()}`);
}

for (const name of [...first, ...tried, ...last]) {
  test(`a step of ${name} that does not work`, async (t) => {
    if (curl.kind === 'missing') return t.skip(curl.reason);
    await follow(name);
  });
}
