/**
 * The server's configuration: one table, from which flags, environment, `--help` and
 * docs/operating/configuration.md come.
 */
import { defineConfig } from '../../lib/config.ts';
import type { ConfigOf } from '../../lib/config.ts';
import { engineUrlProblem } from '../agent/agentConfig.ts';
import { tracingTable } from '../monitoring/tracingConfig.ts';
import { peopleConfigProblems, peopleTable } from './peopleConfig.ts';
import { regionProblem } from '../../lib/text/slug.ts';

/** The protocol's own bound, which agents that know no other keep to. */
const longestLinkSilenceMs = 30_000;
const dayMs = 86_400_000;
const hourMs = 3_600_000;

function urlProblem(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url !== undefined && url.search === '' && url.hash === '' && url.username === '';
  if (plain && (url.protocol === 'http:' || url.protocol === 'https:')) return undefined;
  return 'give an address such as https://xim.example.com';
}

const listening = {
  host: {
    type: 'text',
    flag: 'host',
    env: 'XIM_HOST',
    default: '127.0.0.1',
    placeholder: 'ADDRESS',
    help: 'Where to listen. Anything but this machine’s loopback turns TLS on.',
    group: 'Listening',
  },
  port: {
    type: 'integer',
    flag: 'port',
    env: 'XIM_PORT',
    default: 8080,
    min: 0,
    max: 65_535,
    help: 'Which port; 0 takes a free one.',
    group: 'Listening',
  },
  publicUrl: {
    type: 'text',
    flag: 'public-url',
    env: 'XIM_PUBLIC_URL',
    default: undefined,
    placeholder: 'URL',
    help: 'Where others reach the server. By default made of --host and --port.',
    group: 'Listening',
    check: urlProblem,
  },
  behindProxy: {
    type: 'switch',
    flag: 'behind-proxy',
    env: 'XIM_BEHIND_PROXY',
    default: false,
    help: 'A proxy in front ends TLS; the server itself speaks plain HTTP. Needs --public-url.',
    group: 'Listening',
  },
  trustedProxies: {
    type: 'list',
    flag: 'trusted-proxies',
    env: 'XIM_TRUSTED_PROXIES',
    default: [],
    placeholder: 'ADDRESS,…',
    help: 'Proxies whose X-Forwarded-For is believed: addresses or CIDR ranges.',
    group: 'Listening',
  },
  tlsCert: {
    type: 'text',
    flag: 'tls-cert',
    env: 'XIM_TLS_CERT',
    default: undefined,
    placeholder: 'FILE',
    help: 'Certificate chain in PEM. Without it the server makes its own, which agents pin.',
    group: 'Listening',
  },
  tlsKey: {
    type: 'text',
    flag: 'tls-key',
    env: 'XIM_TLS_KEY',
    default: undefined,
    placeholder: 'FILE',
    help: 'Private key of --tls-cert in PEM.',
    group: 'Listening',
  },
} as const;

const keeping = {
  dataDir: {
    type: 'text',
    flag: 'data-dir',
    env: 'XIM_DATA_DIR',
    default: undefined,
    placeholder: 'DIR',
    help:
      'Where everything is kept: database, keys, journal, models. By default ' +
      '$XDG_DATA_HOME/xim or ~/.local/share/xim.',
    group: 'Keeping',
  },
  databaseUrl: {
    type: 'text',
    flag: 'database-url',
    env: 'XIM_DATABASE_URL',
    default: undefined,
    placeholder: 'URL',
    secret: true,
    help: 'A PostgreSQL database (postgres://…) instead of the embedded one.',
    group: 'Keeping',
  },
  modelCache: {
    type: 'text',
    flag: 'model-cache',
    env: 'XIM_MODEL_CACHE',
    default: undefined,
    placeholder: 'DIR',
    help: 'Model files of the shared agents here. By default models/ in the data directory.',
    group: 'Keeping',
  },
  newCredentials: {
    type: 'switch',
    flag: 'new-credentials',
    default: false,
    help: 'If credentials.json is lost, write it anew at this start, with new keys.',
    group: 'Keeping',
  },
  agentDiesAfter: {
    type: 'duration',
    flag: 'agent-dies-after',
    env: 'XIM_AGENT_DIES_AFTER',
    default: 30 * dayMs,
    placeholder: 'TIME',
    help: 'A disconnected agent must enrol again after this long, at least 1h; 0s means never.',
    group: 'Keeping',
    check: (value: number) =>
      value === 0 || value >= hourMs ? undefined : 'give 1h or more, or 0s for never',
  },
} as const;

const serving = {
  model: {
    type: 'text',
    flag: 'model',
    env: 'XIM_MODEL',
    default: undefined,
    placeholder: 'MODEL',
    help:
      'What the first shared agent serves: a GGUF file, an https:// address, hf:REPO:FILE, ' +
      'or with ' +
      '--engine-url the name that the engine knows. Kept for later starts.',
    group: 'Serving',
  },
  engineUrl: {
    type: 'text',
    flag: 'engine-url',
    env: 'XIM_ENGINE_URL',
    default: undefined,
    placeholder: 'URL',
    help: 'Attach an OpenAI-compatible server instead of running the embedded engine.',
    group: 'Serving',
    check: engineUrlProblem,
  },
  engine: {
    type: 'choice',
    flag: 'engine',
    env: 'XIM_ENGINE',
    choices: ['embedded', 'url'],
    default: undefined,
    help: 'Engine of the shared agent. By default url with --engine-url, else embedded.',
    group: 'Serving',
  },
  agent: {
    type: 'switch',
    flag: 'agent',
    env: 'XIM_AGENT',
    default: true,
    help: 'Run a shared agent on this machine; --no-agent does not.',
    group: 'Serving',
  },
  slots: {
    type: 'integer',
    flag: 'slots',
    env: 'XIM_SLOTS',
    default: 0,
    min: 0,
    max: 4096,
    placeholder: 'N',
    help: 'Requests that the shared agent runs at once; 0 leaves it to the engine.',
    group: 'Serving',
  },
  region: {
    type: 'text',
    flag: 'region',
    env: 'XIM_REGION',
    default: 'local',
    placeholder: 'REGION',
    help: 'Region of this router, and of agents whose join key names none.',
    group: 'Serving',
    check: (text: string) =>
      regionProblem(text) === undefined
        ? undefined
        : 'give 1 to 24 printable ASCII characters without space',
  },
  rotateSigningKey: {
    type: 'switch',
    flag: 'rotate-signing-key',
    default: false,
    help: 'Sign agents’ access tokens with a new key from this start on; the last one stays good.',
    group: 'Serving',
  },
  linkSilence: {
    type: 'duration',
    flag: 'link-silence',
    env: 'XIM_LINK_SILENCE',
    default: longestLinkSilenceMs,
    min: 2_000,
    max: longestLinkSilenceMs,
    placeholder: 'TIME',
    help: 'An agent that says nothing for this long is disconnected, at most 30s.',
    group: 'Serving',
  },
  firstByteLimit: {
    type: 'duration',
    flag: 'first-byte-limit',
    env: 'XIM_FIRST_BYTE_LIMIT',
    default: 0,
    placeholder: 'TIME',
    help:
      'A stream without a first byte for this long goes to another agent, once one is free. ' +
      'By default (0s) the request timeout of its tier.',
    group: 'Serving',
  },
  stallLimit: {
    type: 'duration',
    flag: 'stall-limit',
    env: 'XIM_STALL_LIMIT',
    default: 0,
    placeholder: 'TIME',
    help:
      'A stream that stops for this long is continued on another agent, once one is free. ' +
      'By default (0s) 15s, or longer where the engine is slow.',
    group: 'Serving',
  },
  hedging: {
    type: 'switch',
    flag: 'hedging',
    env: 'XIM_HEDGING',
    default: false,
    help:
      'A stream whose first byte is later than nine of ten gets a second agent, if one is free; ' +
      'at most 2 % of all requests.',
    group: 'Serving',
  },
  tiers: {
    type: 'json',
    flag: 'tiers',
    env: 'XIM_TIERS',
    default: undefined,
    placeholder: 'JSON',
    help: 'Other numbers for tiers, e.g. {"self_hosted":{"concurrentPerProject":400}}.',
    group: 'Serving',
  },
  maxBody: {
    type: 'size',
    flag: 'max-body',
    env: 'XIM_MAX_BODY',
    default: 16 * 1024 * 1024,
    min: 1024,
    max: 256 * 1024 * 1024,
    placeholder: 'SIZE',
    help: 'Largest body of a request.',
    group: 'Serving',
  },
} as const;

const telling = {
  adminEmail: {
    type: 'text',
    flag: 'admin-email',
    env: 'XIM_ADMIN_EMAIL',
    default: 'admin@localhost',
    placeholder: 'EMAIL',
    help: 'E-mail of the admin that the first start creates.',
    group: 'Telling',
    check: (text: string) =>
      /^[^\s@]+@[^\s@]+$/.test(text) ? undefined : 'give an address such as admin@localhost',
  },
  json: {
    type: 'switch',
    flag: 'json',
    default: false,
    help: 'When ready, print one line of JSON on standard output, all else on standard error.',
    group: 'Telling',
  },
  logLevel: {
    type: 'choice',
    flag: 'log-level',
    env: 'XIM_LOG_LEVEL',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'warn',
    help: 'From which level on the log is written to standard error.',
    group: 'Telling',
  },
} as const;

export const serveTable = defineConfig({
  ...listening,
  ...keeping,
  ...peopleTable,
  ...serving,
  ...telling,
  ...tracingTable,
});

export type ServeConfig = ConfigOf<typeof serveTable>;

/** What no single row can see; sentences. */
export function serveConfigProblems(config: ServeConfig): string[] {
  const problems: string[] = [];
  if ((config.tlsCert === undefined) !== (config.tlsKey === undefined)) {
    problems.push('--tls-cert and --tls-key belong together: give both or none');
  }
  if (config.behindProxy && config.publicUrl === undefined) {
    problems.push('--behind-proxy needs --public-url, the address that the proxy is reached by');
  }
  if (config.behindProxy && config.tlsCert !== undefined) {
    problems.push('--behind-proxy and --tls-cert exclude each other: one place ends TLS');
  }
  if (config.engine === 'url' && config.engineUrl === undefined) {
    problems.push('--engine url needs --engine-url, the address of the OpenAI-compatible server');
  }
  if (config.engine === 'embedded' && config.engineUrl !== undefined) {
    problems.push('--engine embedded and --engine-url exclude each other');
  }
  if (config.databaseUrl !== undefined && !/^postgres(ql)?:\/\//.test(config.databaseUrl)) {
    problems.push('--database-url must begin with postgres://; without it SQLite is used');
  }
  return [...problems, ...peopleConfigProblems(config)];
}
