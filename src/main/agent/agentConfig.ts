/**
 * The agent's configuration: one table, from which flags, environment, `--help` and
 * docs/operating/configuration.md come.
 */
import { parseEngineUrl } from '../../agent/engines/urlAddress.ts';
import { pinPattern } from '../../lib/network/pinnedTls.ts';
import { defineConfig } from '../../lib/config.ts';
import type { ConfigOf } from '../../lib/config.ts';

/** What is wrong with `--engine-url`, for the tables of agent and server. */
export function engineUrlProblem(text: string): string | undefined {
  return parseEngineUrl(text).kind === 'ok'
    ? undefined
    : 'give an address such as http://127.0.0.1:8000 or unix:/run/engine.sock';
}

const joining = {
  server: {
    type: 'text',
    flag: 'server',
    env: 'XIM_SERVER',
    default: undefined,
    placeholder: 'URL',
    help: 'The server to join, as the pasted line names it. Kept: a restart needs it no more.',
    group: 'Joining',
  },
  pin: {
    type: 'text',
    flag: 'pin',
    env: 'XIM_PIN',
    default: undefined,
    placeholder: 'PIN',
    help: 'Public key of the server’s own certificate, sha256//…; nothing is sent to another.',
    group: 'Joining',
    check: (text: string) =>
      pinPattern.test(text) ? undefined : 'give sha256// and 44 characters of base64',
  },
  joinKeyVariable: {
    type: 'text',
    env: 'XIM_JOIN_KEY',
    default: undefined,
    secret: true,
    help: 'The join key. Only the first start needs it.',
    group: 'Joining',
  },
  joinKey: {
    type: 'text',
    flag: 'join-key',
    default: undefined,
    placeholder: 'KEY',
    secret: true,
    help: 'The same as a flag, which process lists show to everybody on the machine.',
    group: 'Joining',
  },
  joinKeyStdin: {
    type: 'switch',
    flag: 'join-key-stdin',
    default: false,
    help: 'Read the join key from the first line of standard input.',
    group: 'Joining',
  },
  name: {
    type: 'text',
    flag: 'name',
    env: 'XIM_AGENT_NAME',
    default: undefined,
    placeholder: 'NAME',
    help: 'Name of the agent. By default the join key’s, else the machine’s.',
    group: 'Joining',
    check: (text: string) =>
      text.length >= 1 && text.length <= 64 ? undefined : 'give 1 to 64 characters',
  },
  stateDir: {
    type: 'text',
    flag: 'state-dir',
    env: 'XIM_STATE_DIR',
    default: undefined,
    placeholder: 'DIR',
    help:
      'Where key and tokens are kept (0700). By default state/ in $XIM_HOME, ' +
      '$XDG_DATA_HOME/xim-agent or ~/.local/share/xim-agent.',
    group: 'Joining',
  },
} as const;

const engine = {
  engine: {
    type: 'choice',
    flag: 'engine',
    env: 'XIM_ENGINE',
    choices: ['embedded', 'url'],
    default: undefined,
    help: 'What runs the models: by default url with --engine-url, else what the last start had.',
    group: 'Engine',
  },
  engineUrl: {
    type: 'text',
    flag: 'engine-url',
    env: 'XIM_ENGINE_URL',
    default: undefined,
    placeholder: 'URL',
    help: 'An OpenAI-compatible server: http://host:port, or unix:/path/to/socket. Kept.',
    group: 'Engine',
    check: engineUrlProblem,
  },
  engineKey: {
    type: 'text',
    flag: 'engine-key',
    env: 'XIM_ENGINE_KEY',
    default: undefined,
    secret: true,
    placeholder: 'KEY',
    help: 'Bearer token for --engine-url. The variable keeps it out of process lists.',
    group: 'Engine',
  },
  serve: {
    type: 'list',
    flag: 'serve',
    env: 'XIM_SERVE',
    default: [],
    placeholder: 'MODEL=ID',
    help: 'The engine’s name for a model, where it differs from the catalogue’s; repeatable.',
    group: 'Engine',
    check: (pairs: readonly string[]) =>
      pairs.every((pair) => /^[^=]+=.+$/.test(pair)) ? undefined : 'give MODEL=ID',
  },
  slots: {
    type: 'integer',
    flag: 'slots',
    env: 'XIM_SLOTS',
    default: 0,
    min: 0,
    max: 4096,
    placeholder: 'N',
    help: 'Requests at once; 0 leaves it to the engine.',
    group: 'Engine',
  },
} as const;

const models = {
  modelCache: {
    type: 'text',
    flag: 'model-cache',
    env: 'XIM_MODEL_CACHE',
    default: undefined,
    placeholder: 'DIR',
    help: 'Where model files are kept. By default models/ beside the state directory.',
    group: 'Models',
  },
  storageLimit: {
    type: 'size',
    flag: 'storage-limit',
    env: 'XIM_STORAGE_LIMIT',
    default: undefined,
    min: 1,
    placeholder: 'SIZE',
    help: 'Most that the model cache may hold. By default the disk less 5 %.',
    group: 'Models',
  },
  allowModelDir: {
    type: 'list',
    flag: 'allow-model-dir',
    env: 'XIM_ALLOW_MODEL_DIR',
    default: [],
    placeholder: 'DIR',
    help: 'A directory in which file: models may lie; repeatable. None by default.',
    group: 'Models',
  },
  allowPrivateAddresses: {
    type: 'switch',
    flag: 'allow-private-addresses',
    env: 'XIM_ALLOW_PRIVATE_ADDRESSES',
    default: false,
    help: 'Let https: models come from loopback and private address ranges.',
    group: 'Models',
  },
} as const;

const running = {
  parentStdin: {
    type: 'switch',
    flag: 'parent-stdin',
    default: false,
    help: 'Stop when standard input closes: the process that started this one has gone.',
    group: 'Running',
  },
  events: {
    type: 'switch',
    flag: 'events',
    default: false,
    help: 'Tell progress as JSON lines on standard output.',
    group: 'Running',
  },
  logLevel: {
    type: 'choice',
    flag: 'log-level',
    env: 'XIM_LOG_LEVEL',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'warn',
    help: 'From which level on the log is written to standard error.',
    group: 'Running',
  },
} as const;

export const agentTable = defineConfig({ ...joining, ...engine, ...models, ...running });

export type AgentConfig = ConfigOf<typeof agentTable>;

/** What no single row can see; sentences. */
export function agentConfigProblems(config: AgentConfig): string[] {
  const problems: string[] = [];
  if (config.engine === 'url' && config.engineUrl === undefined) {
    problems.push('--engine url needs --engine-url, the address of the OpenAI-compatible server');
  }
  if (config.engine === 'embedded' && config.engineUrl !== undefined) {
    problems.push('--engine embedded and --engine-url exclude each other');
  }
  if (config.joinKeyStdin && config.parentStdin) {
    problems.push('--join-key-stdin and --parent-stdin exclude each other: give XIM_JOIN_KEY');
  }
  return problems;
}
