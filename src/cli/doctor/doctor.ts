/** `xim doctor`: what is wrong with this machine, and what to do about it. */
import path from 'node:path';
import type { AgentFacts } from '../../api/enrollment.ts';
import { defineConfig, type ConfigOf } from '../../lib/config.ts';
import { wrapText } from '../../lib/text/wrapText.ts';
import { userConfigDirectory, userDataDirectory } from '../../lib/files/userDirectories.ts';
import { defineCommand, type Command, type CommandContext } from '../command.ts';
import { exitCodes } from '../exitCodes.ts';
import { harmlessTerminal } from '../harmlessTerminal.ts';
import { localCredentials, readServerContext, serverOptions } from '../serverContext.ts';
import { checkAccelerators } from './acceleratorChecks.ts';
import { finding, levels, ok, worstOf, type Finding, type Level } from './finding.ts';
import {
  checkDisk,
  checkMemory,
  checkNode,
  checkOpenFiles,
  checkProcessor,
  checkService,
  checkSystem,
} from './hostChecks.ts';
import type { Machine } from './machine.ts';
import { checkSecrets } from './secretChecks.ts';
import { checkServer } from './serverChecks.ts';
import { compareVersions } from './versions.ts';
import { checkVllm } from './vllmChecks.ts';

const options = defineConfig({
  engine: {
    type: 'choice',
    flag: 'engine',
    choices: ['embedded', 'vllm', 'url'],
    default: undefined,
    help: 'What shall serve models here; what it lacks is an error then.',
    group: 'This machine',
  },
  python: {
    type: 'text',
    flag: 'python',
    default: 'python3',
    placeholder: 'FILE',
    help: 'The Python that has vLLM, or shall have it.',
    group: 'This machine',
  },
  ...serverOptions,
});
type Options = ConfigOf<typeof options>;

export interface DoctorParts {
  machine: Machine;
  /** As an agent would say it at its enrolment. */
  hardware: () => Promise<Pick<AgentFacts, 'accelerators' | 'cpu'>>;
  /** Of this program. */
  version: string;
}

/** `open` is called when the command runs: looking at the machine takes a moment. */
export function createDoctor(open: () => DoctorParts | Promise<DoctorParts>): Command {
  return defineCommand({
    words: ['doctor'],
    summary: 'Say what is wrong with this machine, and what to do',
    details:
      'Looks at Node, the system, memory, disk, processor, accelerators, vLLM’s needs, limits, ' +
      'the server in use and who can read its secrets. The exit code is 0 when all is well, 9 ' +
      'where something should be looked at, 1 where something does not work.',
    options,
    async run(context, { options: given }) {
      const parts = await open();
      const findings = await examine(context, parts, given);
      const worst = worstOf(findings);
      harmlessTerminal(context.terminal).out(
        given.output === 'json'
          ? `${JSON.stringify({ worst, findings })}\n`
          : findingsText(findings, worst),
      );
      return exitCodeOf(worst);
    },
  });
}

function exitCodeOf(worst: Level): number {
  if (worst === 'error') return exitCodes.failed;
  return worst === 'warning' ? exitCodes.warnings : exitCodes.done;
}

async function examine(
  context: CommandContext,
  { machine, hardware, version }: DoctorParts,
  given: Options,
): Promise<Finding[]> {
  const facts = await hardware();
  const { env } = context;
  const dataDirectory = path.dirname(localCredentials(env, given.dataDir));
  const agentHome = env['XIM_HOME'] ?? userDataDirectory('xim-agent', env);
  const wish = { wanted: given.engine === 'vllm', python: given.python };
  const places = {
    dataDirectory,
    contexts: path.join(userConfigDirectory('xim', env), 'contexts'),
    agentState: path.join(agentHome, 'state'),
  };
  const disks = { 'a server': dataDirectory, 'an agent': agentHome };
  const forVllm = given.engine === undefined || given.engine === 'vllm';
  const [server, accelerators, vllm] = await Promise.all([
    serverFindings(context, given, version),
    checkAccelerators(machine, facts),
    forVllm ? checkVllm(machine, facts, wish) : Promise.resolve([]),
  ]);
  return [
    ...checkNode(machine),
    ...checkSystem(machine),
    ...(await checkProcessor(machine, facts.cpu.model)),
    ...checkMemory(machine),
    ...(await checkDisk(machine, disks)),
    ...accelerators,
    ...vllm,
    ...(await checkOpenFiles(machine)),
    ...(await checkService(machine)),
    ...(await checkSecrets(machine, places)),
    ...server,
  ];
}

async function serverFindings(
  context: CommandContext,
  given: Options,
  ours: string,
): Promise<Finding[]> {
  const found = readServerContext(given, context.env);
  if (found.kind === 'missing') {
    const named = given.context !== undefined || given.dataDir !== undefined;
    const next = named ? `It was named, but ${found.message}` : 'Sign in to one: xim login URL';
    const level = named ? 'error' : 'note';
    return [finding(level, 'Server', { found: 'none is known here', next })];
  }
  const { findings, version } = await checkServer(context, found.context);
  return version === null ? findings : [...findings, versionFinding(ours, version)];
}

function versionFinding(ours: string, theirs: string): Finding {
  if (compareVersions(ours, theirs) === 0) return ok('Version', `${ours}, as the server`);
  const next = 'A newer server brings its own; machines that join again get it.';
  return finding('note', 'Version', { found: `${ours} here, ${theirs} there`, next });
}

const columns = 100;

function findingsText(findings: readonly Finding[], worst: Level): string {
  const levelWidth = Math.max(...levels.map((level) => level.length)) + 2;
  const width = Math.max(...findings.map(({ check }) => check.length)) + 2;
  const indent = ' '.repeat(levelWidth + width);
  const rows = findings.map(({ check, level, found, next }) => {
    const head = `${level.padEnd(levelWidth)}${check.padEnd(width)}`;
    const lines = wrapText(found, columns - indent.length);
    const advice = next === null ? [] : wrapText(`→ ${next}`, columns - indent.length);
    return [...lines, ...advice].map((line, at) => `${at === 0 ? head : indent}${line}\n`).join('');
  });
  return `${rows.join('')}\n${verdicts[worst]}\n`;
}

const verdicts: Readonly<Record<Level, string>> = {
  ok: 'All is well.',
  note: 'All is well.',
  warning: 'It works, but look at the warnings.',
  error: 'Something does not work; see the errors.',
};
