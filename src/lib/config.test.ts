import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { defineConfig, readConfig } from './config.ts';
import { configHelp, configMarkdown } from './configText.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from './text/quantities.ts';

const table = defineConfig({
  host: { type: 'text', env: 'T_HOST', flag: 'host', default: '127.0.0.1', help: 'Listen here.' },
  port: {
    type: 'integer',
    env: 'T_PORT',
    flag: 'port',
    default: 8080,
    min: 0,
    max: 65_535,
    help: 'Listen on this port; 0 takes a free one.',
  },
  level: {
    type: 'choice',
    env: 'T_LEVEL',
    flag: 'log-level',
    default: 'info',
    choices: ['debug', 'info'],
    help: 'Lines below it are left out.',
    group: 'Logging',
  },
  json: { type: 'switch', flag: 'json', default: false, help: 'One line of JSON.' },
  wait: {
    type: 'duration',
    env: 'T_WAIT',
    flag: 'wait',
    default: 30_000,
    max: 30_000,
    help: 'Longest wait in the queue.',
  },
  body: { type: 'size', flag: 'max-body', default: 2 ** 24, min: 1024, help: 'Largest body.' },
  dirs: { type: 'list', env: 'T_DIRS', flag: 'dir', default: [], help: 'Model directories.' },
  tiers: { type: 'json', env: 'T_TIERS', default: undefined, help: 'Overrides.' },
  key: { type: 'text', env: 'T_KEY', default: undefined, help: 'A key.', secret: true, check },
});

function check(value: string): string | undefined {
  return value.startsWith('xjk_') ? undefined : 'give a key that starts with xjk_';
}

function read(args: string[], env: Record<string, string> = {}) {
  return readConfig(table, { args, env, envPrefix: 'T_' });
}

function configOf(args: string[], env: Record<string, string> = {}) {
  const outcome = read(args, env);
  assert.equal(outcome.kind, 'ok');
  return outcome.kind === 'ok' ? outcome.config : assert.fail();
}

function problemsOf(args: string[], env: Record<string, string> = {}) {
  const outcome = read(args, env);
  return outcome.kind === 'invalid' ? outcome.problems : assert.fail(outcome.kind);
}

test('a flag beats the environment and the environment beats the default', () => {
  const env = { T_PORT: '1', T_HOST: 'b', T_LEVEL: '' };
  const outcome = read(['--port', '2'], env);
  assert.ok(outcome.kind === 'ok');
  assert.equal(outcome.config.port, 2);
  assert.equal(outcome.config.host, 'b');
  assert.equal(outcome.config.level, 'info');
  assert.equal(outcome.sources.port, 'flag');
  assert.equal(outcome.sources.host, 'environment');
  assert.equal(outcome.sources.level, 'default');
});

test('every type is read in every way of writing it', () => {
  const config = configOf(
    ['up', '--json', '--wait=5s', '--max-body', '2MiB', '--dir', 'a,b', '--dir=c', '--', '--x'],
    { T_TIERS: '{"free":{"concurrent":9}}', T_KEY: 'xjk_1' },
  );
  assert.deepEqual(config.dirs, ['a', 'b', 'c']);
  assert.equal(config.json, true);
  assert.equal(config.wait, 5000);
  assert.equal(config.body, 2 * 2 ** 20);
  assert.deepEqual(config.tiers, { free: { concurrent: 9 } });
  assert.equal(configOf(['--json', '--no-json']).json, false);
  assert.equal(configOf(['--json=false']).json, false);
  const outcome = read(['up', '--', '--x', '-']);
  assert.deepEqual(outcome.kind === 'ok' && outcome.positionals, ['up', '--x', '-']);
});

test('a wrong value is named with its place and what is allowed, all problems at once', () => {
  assert.deepEqual(
    problemsOf(['--port', '99999', '--log-level=loud', '--nope', '-x', '--wait'], {
      T_TIERS: '[1]',
      T_KEY: 'secret-value',
    }),
    [
      '--nope is not a flag of this command; --help lists them',
      '-x is not a flag of this command; --help lists them',
      '--wait needs a value',
      '--port: "99999" is not allowed; give at least 0 and at most 65535',
      '--log-level: "loud" is not allowed; give one of debug, info',
      'T_TIERS: "[1]" is not allowed; give a JSON object',
      'T_KEY: its value is not allowed; give a key that starts with xjk_',
    ],
  );
  assert.match(problemsOf(['--wait', '31s'])[0] ?? '', /at most 30000 ms/);
  assert.match(problemsOf(['--port', '1.5'])[0] ?? '', /whole number/);
  assert.match(problemsOf(['--max-body', 'big'])[0] ?? '', /MiB/);
  assert.match(problemsOf([], { T_WAIT: '5' })[0] ?? '', /such as 30s/);
});

test('names of Object.prototype are not units', () => {
  assert.ok('problem' in parseSize('5constructor'));
  assert.ok('problem' in parseDuration('5valueOf'));
});

test('a slip below our own prefix is warned about, variables of others are not', () => {
  const outcome = read([], { T_PROT: '1', PATH: '/bin', T_HOST: 'a' });
  assert.deepEqual(outcome.kind === 'ok' && outcome.warnings, [
    'T_PROT is set, but is not a setting of this command',
  ]);
});

test('a refused value that shows more than what was taken', () => {
  const read = readConfig(table, { args: ['--port', '1', '--port', 'x'], env: {} });
  assert.deepEqual(read.kind === 'invalid' ? read.problems : read, [
    '--port: "x" is not allowed; give a whole number',
  ]);
});

test('help wins over problems and lists every row within the width', () => {
  assert.equal(read(['--nope', '-h']).kind, 'help');
  const help = configHelp(table, { usage: 'thing [options]', summary: 'Does the thing.' });
  for (const line of help.split('\n')) assert.ok(line.length <= 100, line);
  assert.match(help, /^ {2}--port INTEGER {9,}Listen on this port.*\[T_PORT; default 8080\]$/m);
  assert.match(help, /--wait DURATION .*default 30s\]/);
  assert.match(help, /--max-body SIZE .*\[default 16MiB\]/);
  assert.match(help, /^Logging:$/m);
  assert.match(help, /^ {2}T_KEY {20,}A key\.$/m);
});

test('the documentation has a row for each setting', () => {
  const page = configMarkdown(table);
  assert.match(page, /\| `--port INTEGER` \| `T_PORT` \| `8080` \| Listen on this port; /);
  assert.match(page, /\| `--log-level debug\\\|info` \|/);
  assert.match(page, /\| – \| `T_KEY` \| – \| A key\. \|/);
});

test('durations and sizes read back as what they were', () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 31 - 1 }), (value) => {
      assert.deepEqual(parseDuration(formatDuration(value)), { value });
      assert.deepEqual(parseSize(formatSize(value)), { value });
    }),
  );
  assert.deepEqual(parseSize('1.5 GiB'), { value: 1.5 * 2 ** 30 });
});

test('a variable that a script forgot to set means the working directory', () => {
  assert.deepEqual(problemsOf(['--host', '']), [
    '--host: "" is not allowed; give a value, or leave it out',
  ]);
  assert.equal(configOf([], { T_HOST: '' }).host, '127.0.0.1');
});

test('a value that was left out takes the next flag’s place', () => {
  assert.deepEqual(problemsOf(['--host', '--json']), ['--host needs a value']);
  assert.deepEqual(problemsOf(['--host', '--no-json']), ['--host needs a value']);
  assert.deepEqual(problemsOf(['--host', '--port=1']), ['--host needs a value']);
  assert.equal(configOf(['--host=--json']).host, '--json');
  assert.equal(configOf(['--host', '--strange']).host, '--strange');
});
