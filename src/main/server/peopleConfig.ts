/** The server's settings about people: who may make projects, and where they may sign in. */
import type { OidcConfig } from '../../control/access/accessControl.ts';
import type { ConfigOf } from '../../lib/config.ts';
import { defineConfig } from '../../lib/config.ts';
import { isLoopback } from './addresses.ts';
import { readSecretFile } from '../process/readSecretFile.ts';

function issuerProblem(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url !== undefined && url.search === '' && url.hash === '' && url.username === '';
  if (plain && url.protocol === 'https:') return undefined;
  if (plain && url.protocol === 'http:' && isLoopback(url.hostname.replaceAll(/[[\]]/g, '')))
    return undefined;
  return 'give the provider\u2019s https:// address (http:// on loopback alone)';
}

export const peopleTable = defineConfig({
  usersCreateProjects: {
    type: 'switch',
    flag: 'users-create-projects',
    env: 'XIM_USERS_CREATE_PROJECTS',
    default: false,
    help: 'Let everybody who can sign in make projects, not operators alone.',
    group: 'People',
  },
  allowUnsandboxed: {
    type: 'switch',
    flag: 'allow-unsandboxed',
    env: 'XIM_ALLOW_UNSANDBOXED',
    default: false,
    help: 'Let shared agents serve more than one project though they run without a sandbox.',
    group: 'People',
  },
  oidcIssuer: {
    type: 'text',
    flag: 'oidc-issuer',
    env: 'XIM_OIDC_ISSUER',
    default: undefined,
    placeholder: 'URL',
    help: 'OpenID Connect provider that people may sign in with. Needs --oidc-client-id.',
    group: 'People',
    check: issuerProblem,
  },
  oidcClientId: {
    type: 'text',
    flag: 'oidc-client-id',
    env: 'XIM_OIDC_CLIENT_ID',
    default: undefined,
    placeholder: 'ID',
    help: 'What the provider knows this server as.',
    group: 'People',
  },
  oidcClientSecret: {
    type: 'text',
    env: 'XIM_OIDC_CLIENT_SECRET',
    default: undefined,
    secret: true,
    help: 'Secret of that client. Without one it is a public client, which PKCE protects.',
    group: 'People',
  },
  oidcClientSecretFile: {
    type: 'text',
    flag: 'oidc-client-secret-file',
    env: 'XIM_OIDC_CLIENT_SECRET_FILE',
    default: undefined,
    placeholder: 'FILE',
    help: 'The same, in a file.',
    group: 'People',
  },
  oidcName: {
    type: 'text',
    flag: 'oidc-name',
    env: 'XIM_OIDC_NAME',
    default: undefined,
    placeholder: 'NAME',
    help: 'What the button says: Sign in with NAME. By default the host of --oidc-issuer.',
    group: 'People',
    check: (text: string) => (text.length <= 40 ? undefined : 'give at most 40 characters'),
  },
  oidcAllowedDomains: {
    type: 'list',
    flag: 'oidc-allowed-domains',
    env: 'XIM_OIDC_ALLOWED_DOMAINS',
    default: [],
    placeholder: 'DOMAIN,\u2026',
    help: 'Domains of e-mail addresses that may sign in there. By default any.',
    group: 'People',
  },
  oidcCreateUsers: {
    type: 'switch',
    flag: 'oidc-create-users',
    env: 'XIM_OIDC_CREATE_USERS',
    default: false,
    help: 'Make an account for whoever signs in there without having one.',
    group: 'People',
  },
});

type PeopleConfig = ConfigOf<typeof peopleTable>;

/** What no single row can see; sentences. */
export function peopleConfigProblems(config: PeopleConfig): string[] {
  const problems: string[] = [];
  if ((config.oidcIssuer === undefined) !== (config.oidcClientId === undefined)) {
    problems.push('--oidc-issuer and --oidc-client-id belong together: give both or none');
  }
  if (config.oidcClientSecret !== undefined && config.oidcClientSecretFile !== undefined) {
    problems.push('XIM_OIDC_CLIENT_SECRET and --oidc-client-secret-file exclude each other');
  }
  if (config.oidcCreateUsers && config.oidcIssuer === undefined) {
    problems.push('--oidc-create-users needs --oidc-issuer');
  }
  return problems;
}

/** Undefined: none. Throws a `StartupError` when the secret's file cannot be read. */
export function oidcConfigOf(config: PeopleConfig): OidcConfig | undefined {
  const { oidcIssuer: issuer, oidcClientId: clientId, oidcClientSecretFile: file } = config;
  if (issuer === undefined || clientId === undefined) return undefined;
  const clientSecret = file === undefined ? config.oidcClientSecret : readSecretFile(file);
  return {
    issuer,
    clientId,
    clientSecret: clientSecret ?? null,
    name: config.oidcName ?? new URL(issuer).hostname,
    allowedDomains: config.oidcAllowedDomains.map((domain) => domain.toLowerCase()),
    createUsers: config.oidcCreateUsers,
  };
}
