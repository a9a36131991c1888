/** The doctor on machines of paper: what it says of them, and how it ends. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { AgentFacts } from '../../api/enrollment.ts';
import type { StatusAnswer } from '../../api/control/status.ts';
import { systemClock } from '../../lib/clock.ts';
import {
  cliNow as now,
  openCliHarness,
  refusal,
  type CannedAnswer,
  type CliHarness,
} from '../../testing/processes/cliHarness.ts';
import { assertGolden } from '../../testing/golden.ts';
import { createDoctor, type DoctorParts } from './doctor.ts';
import type { Machine } from './machine.ts';
import { compareVersions } from './versions.ts';

const gb = 1e9;
const clock = { ...systemClock, now: () => Date.parse(now), monotonic: () => 0 };

interface Paper extends Partial<Omit<Machine, 'command' | 'readText' | 'status' | 'list'>> {
  /** Output by the whole command line. */
  commands?: Record<string, string>;
  files?: Record<string, string>;
  /** Modes, with the kind of the file, by path. */
  modes?: Record<string, number>;
  lists?: Record<string, readonly string[]>;
  owner?: number;
}

const pythonWithVllm = {
  'python3 --version': 'Python 3.12.3\n',
  'python3 -c import importlib.metadata as m; print(m.version("vllm"))': '0.14.0\n',
};
const limits = (most: string): string => `Max open files            ${most}    ${most}     files\n`;

function machine(paper: Paper = {}): Machine {
  const commands: Record<string, string> = paper.commands ?? pythonWithVllm;
  const { files = {}, modes = {}, lists = {}, owner = 1000 } = paper;
  const texts = {
    '/proc/cpuinfo': 'flags\t\t: fpu sse2 avx2 avx512f\n',
    '/proc/self/limits': limits('524288'),
    ...files,
  };
  return {
    nodeVersion: 'v22.12.0',
    glibcVersion: '2.39',
    platform: 'linux',
    arch: 'x64',
    uid: 1000,
    userName: 'ada',
    memory: () => ({ totalBytes: 256 * gb, availableBytes: 240 * gb }),
    disk: () => Promise.resolve({ freeBytes: 900 * gb, totalBytes: 1000 * gb }),
    mayUse: () => Promise.resolve(true),
    ...paper,
    command: (file, args) => Promise.resolve(commands[[file, ...args].join(' ')]),
    readText: (file) => Promise.resolve((texts as Record<string, string>)[file]),
    list: (directory) => Promise.resolve(lists[directory] ?? []),
    status: (file) => {
      const mode = modes[file];
      return Promise.resolve(mode === undefined ? undefined : { mode, uid: owner });
    },
  };
}

const epyc: AgentFacts['cpu'] = {
  vendor: 'amd',
  serverClass: true,
  model: 'AMD EPYC 9354',
  cores: 64,
};
const desktop: AgentFacts['cpu'] = {
  vendor: 'intel',
  serverClass: false,
  model: 'Intel Core i5-3470',
  cores: 4,
};
const l40s = {
  kind: 'nvidia',
  model: 'NVIDIA L40S',
  memoryBytes: 48 * gb,
  driver: '570.86',
} as const;

let cli: CliHarness;
let parts: DoctorParts;
const doctor = createDoctor(() => parts);

const status: StatusAnswer = {
  version: '0.1.0',
  started_at: now,
  now,
  running: 0,
  waiting: 0,
  journal: 'ok',
  notices: [{ code: 'SharedUnsandboxed', message: 'Shared agents run without a sandbox.' }],
  base_url: 'http://h',
};
const healthy: Record<string, CannedAnswer> = {
  'GET /healthz': { body: {}, headers: { date: new Date(now).toUTCString() } },
  'GET /api/v1/status': { body: status },
};

beforeEach(async () => {
  cli = await openCliHarness([doctor], clock);
  cli.answers(healthy);
});
afterEach(() => cli.close());

async function examine(
  paper: Paper,
  accelerators: AgentFacts['accelerators'],
  more: { cpu?: AgentFacts['cpu']; line?: string } = {},
): Promise<{ code: number; out: string }> {
  const { cpu = epyc, line = 'doctor' } = more;
  parts = {
    machine: machine(paper),
    hardware: () => Promise.resolve({ accelerators, cpu }),
    version: '0.1.0',
  };
  const { code, out, notes } = await cli.run(line);
  assert.equal(notes, '');
  const shown = out
    .replaceAll(cli.origin, 'http://127.0.0.1:18080')
    .replaceAll(cli.directory, '/home/ada/.local/share/xim')
    .replaceAll(/\/tmp\/[^/\s]+\/share\//g, '/home/ada/.local/share/');
  return { code, out: shown };
}

const golden = (name: string, out: string): void => assertGolden(`cli/doctor-${name}.txt`, out);
const gpu = { commands: { ...pythonWithVllm, ...nvidiaSmi('8.9, 570.86.15') } };

function nvidiaSmi(out: string): Record<string, string> {
  return { 'nvidia-smi --query-gpu=compute_cap,driver_version --format=csv,noheader': `${out}\n` };
}

test('a good machine that is found wanting', async () => {
  const { code, out } = await examine(gpu, [l40s, l40s], { line: 'doctor --engine vllm' });
  assert.equal(code, 0, out);
  golden('good', out);
});

test('an old desktop that is said to be fit', async () => {
  const old: Paper = {
    nodeVersion: 'v18.19.1',
    glibcVersion: null,
    commands: { 'python3 --version': 'Python 3.9.2\n' },
    files: { '/proc/cpuinfo': 'flags\t\t: fpu sse2\n', '/proc/self/limits': limits('1024') },
    memory: () => ({ totalBytes: 4 * gb, availableBytes: gb }),
    disk: (directory) =>
      Promise.resolve(
        directory === '/dev/shm'
          ? { freeBytes: 64e6, totalBytes: 64e6 }
          : { freeBytes: 0.4 * gb, totalBytes: 100 * gb },
      ),
    modes: { '/run/systemd/system': 0o040_755 },
  };
  const { code, out } = await examine(old, [], { cpu: desktop });
  assert.equal(code, 1);
  golden('old', out);
  const wanted = await examine(old, [], { cpu: desktop, line: 'doctor --engine vllm' });
  assert.match(wanted.out, /^error +vLLM +needs glibc/m);
  const url = await examine(old, [], { cpu: desktop, line: 'doctor --engine url' });
  assert.doesNotMatch(url.out, /vLLM/);
});

test('a card whose driver is missing, or closed to the user', async () => {
  const cases: [AgentFacts['accelerators'], Paper, RegExp][] = [
    [[{ kind: 'nvidia', model: 'NVIDIA GPU 0x2684' }], {}, /nvidia-smi does not\s+answer/],
    [[{ kind: 'amd', model: 'AMD Instinct MI300X' }], {}, /ROCm’s driver is not \(\/dev\/kfd\)/],
    [
      [{ kind: 'amd', model: 'AMD Instinct MI300X' }],
      { modes: { '/dev/kfd': 0o020_660 }, mayUse: () => Promise.resolve(false) },
      /usermod -aG render,video ada/,
    ],
    [[{ kind: 'intel', model: 'Intel GPU 0x56a0' }], {}, /its driver is not \(\/dev\/dri\)/],
    [
      [{ kind: 'intel', model: 'Intel GPU 0x56a0' }],
      { lists: { '/dev/dri': ['card0', 'renderD128'] }, mayUse: () => Promise.resolve(false) },
      /closed to ada \(\/dev\/dri\/renderD128\)/,
    ],
  ];
  for (const [accelerators, paper, pattern] of cases) {
    const { code, out } = await examine(paper, accelerators);
    assert.match(out, pattern);
    assert.equal(code, 9, out);
  }
  const fine = { lists: { '/dev/dri': ['renderD128'] } };
  const intel = await examine(fine, [{ kind: 'intel', model: 'Intel GPU 0x56a0' }]);
  assert.match(intel.out, /^ok +Accelerator +Intel GPU/m);
});

test('needs of vLLM that nobody is told of', async () => {
  const commands = (more: Record<string, string>): Paper => ({
    commands: { ...pythonWithVllm, ...more },
  });
  const amd = [{ kind: 'amd', model: 'AMD Instinct MI300X' }] as const;
  const kfd = { modes: { '/dev/kfd': 0o020_660 } };
  const cases: [Paper, AgentFacts['accelerators'], RegExp][] = [
    [commands(nvidiaSmi('6.1, 570.86')), [l40s], /compute capability 7\.5; this GPU has 6\.1/],
    [commands(nvidiaSmi('8.0, 470.2')), [l40s], /driver 525\.60 or newer; here is 470\.2/],
    [commands({}), [l40s], /NVIDIA driver, which does not answer/],
    [kfd, [...amd], /ROCm 6\.3 or newer; here is none/],
    [{ ...kfd, files: { '/opt/rocm/.info/version': '6.1.0\n' } }, [...amd], /here is 6\.1\.0/],
    [{ ...gpu, glibcVersion: '2.17' }, [l40s], /needs glibc 2\.28; here is 2\.17/],
    [{ ...gpu, platform: 'darwin' }, [l40s], /does not run on darwin/],
    [
      commands({ 'python3 --version': 'Python 3.14.0' }),
      [],
      /Python 3\.10 to 3\.13; here is 3\.14/,
    ],
    [{ commands: { 'python3 --version': 'Python 3.12.1' } }, [], /is not installed for python3/],
    [{ commands: {} }, [], /python3 does not answer/],
    [{ files: { '/proc/cpuinfo': 'flags : avx2\n' } }, [], /AVX-512/],
  ];
  for (const [paper, accelerators, pattern] of cases) {
    const { code, out } = await examine(paper, accelerators, { line: 'doctor --engine vllm' });
    assert.match(out.replaceAll(/\s+/g, ' '), pattern);
    assert.match(out, /^error +vLLM/m);
    assert.equal(code, 1);
  }
});

test('secrets that others can read', async () => {
  const data = cli.directory;
  const modes = {
    [data]: 0o040_700,
    [`${data}/credentials.json`]: 0o100_644,
    [`${data}/secrets.key`]: 0o100_600,
  };
  const { code, out } = await examine({ ...gpu, modes }, [l40s]);
  assert.equal(code, 9);
  assert.match(out, /credentials\.json is open to others \(644\)\n.*chmod 600/);
  assert.doesNotMatch(out, /secrets\.key/);
  const other = { [data]: 0o040_700 };
  const foreign = await examine({ ...gpu, modes: other, owner: 990 }, [l40s]);
  assert.match(foreign.out, /is of another user/);
  const fine = await examine({ ...gpu, modes: other }, [l40s]);
  assert.match(fine.out, /^ok +Secrets +1 places/m);
});

test('a server that is away, elsewhere in time, or does not know us', async () => {
  cli.upgrades = false;
  cli.answers({
    'GET /healthz': { body: {}, headers: { date: 'Sun, 01 Mar 2026 11:58:00 GMT' } },
    'GET /api/v1/status': refusal(401, 'invalid_api_key', 'The key is wrong.'),
  });
  const { code, out } = await examine(gpu, [l40s]);
  assert.equal(code, 1);
  golden('server', out);
  cli.answers({ ...healthy, 'GET /healthz': { cut: true } });
  const away = await examine(gpu, [l40s]);
  assert.equal(away.code, 1);
  assert.match(away.out, /^error +Server .* cannot be reached$/m);
  cli.answers({ ...healthy, 'GET /api/v1/status': { body: { ...status, version: '0.2.0' } } });
  assert.match((await examine(gpu, [l40s])).out, /0\.1\.0 here, 0\.2\.0 there/);
  const nowhere = await examine(gpu, [l40s], { line: 'doctor --context nowhere' });
  assert.match(nowhere.out, /It was named, but there is no context/);
});

test('findings that a program cannot read', async () => {
  const { code, out } = await examine(gpu, [], { line: 'doctor -o json' });
  const { worst, findings } = JSON.parse(out) as { worst: string; findings: { check: string }[] };
  assert.equal(code, 0);
  assert.equal(worst, 'note');
  assert.ok(findings.some(({ check }) => check === 'Node'));
});

test('versions that are compared as texts', () => {
  assert.ok(compareVersions('v20.9.0', '20.18.1') < 0);
  assert.ok(compareVersions('3.10.1', '3.9') > 0);
  assert.equal(compareVersions('v1.2', '1.2.0'), 0);
});
