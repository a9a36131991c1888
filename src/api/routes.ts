/**
 * The route table: every path and method that the listener serves, and who may call it. Dispatch,
 * the answers `unknown_url` and `method_not_supported` (with `Allow`) and `openapi.json` are all
 * made from it; C3: the listener serves nothing that is not in it.
 *
 * A path is made of literal segments and `{name}` (exactly one segment, percent-decoded); `{rest*}`
 * stands last and takes all that follows. Literals win over names, and there is no backtracking:
 * the reserved slugs (`lib/slug.ts`) keep a project from hiding behind a literal. Nothing is
 * folded: a trailing slash, a double slash or an escaped literal is another path.
 */

/** What serves a row. */
export type Plane = 'data' | 'control' | 'enrolment' | 'link' | 'files' | 'health';

/** Who may call. Which project and which role is then checked by the use-case. */
export type Access =
  | { by: 'anyone' }
  /** `Authorization: Bearer` with an API key that has the scope. Cookies are not read. */
  | { by: 'api_key'; scope: 'inference' }
  /** A signed-in browser, or an API key with the scope `management`. */
  | { by: 'session_or_key'; role: 'member' | 'owner' | 'admin' }
  | { by: 'session' }
  /** Credentials travel in the body and are signed (join key, rotation token). */
  | { by: 'signed_body' }
  /** The link's own handshake (CHALLENGE, HELLO). */
  | { by: 'agent' }
  /** A connection from this machine, or an API key with the scope `management`. */
  | { by: 'loopback_or_key' };

export type Method = 'GET' | 'HEAD' | 'POST' | 'DELETE' | 'OPTIONS';

export interface Route {
  readonly method: Method;
  readonly path: string;
  readonly plane: Plane;
  readonly access: Access;
  /** Name of the one handler; several paths may share it. */
  readonly handler: string;
  readonly summary: string;
}

const anyone = { by: 'anyone' } as const;
const inference = { by: 'api_key', scope: 'inference' } as const;
const member = { by: 'session_or_key', role: 'member' } as const;
const owner = { by: 'session_or_key', role: 'owner' } as const;
const admin = { by: 'session_or_key', role: 'admin' } as const;
const session = { by: 'session' } as const;
const signedBody = { by: 'signed_body' } as const;
const agent = { by: 'agent' } as const;
const loopbackOrKey = { by: 'loopback_or_key' } as const;

const project = '/api/v1/projects/{project}';
const platform = '/api/v1/platform';

/** Rows in short: method, path, plane, access, handler. */
const rows = [
  ['POST', '/v1/chat/completions', 'data', inference, 'chat'],
  ['POST', '/{project}/{endpoint}/v1/chat/completions', 'data', inference, 'chat'],
  ['GET', '/v1/models', 'data', inference, 'models'],
  ['GET', '/{project}/v1/models', 'data', inference, 'models'],
  ['GET', '/{project}/{endpoint}/v1/models', 'data', inference, 'models'],
  ['GET', '/v1/models/{model}', 'data', inference, 'model'],
  ['GET', '/{project}/v1/models/{model}', 'data', inference, 'model'],
  ['GET', '/{project}/{endpoint}/v1/models/{model}', 'data', inference, 'model'],

  ['GET', '/v1/enroll/nonce', 'enrolment', anyone, 'nonce'],
  ['POST', '/v1/enroll', 'enrolment', signedBody, 'enroll'],
  ['POST', '/v1/enroll/refresh', 'enrolment', signedBody, 'refresh'],
  ['GET', '/v1/agents/link', 'link', agent, 'link'],

  ['POST', '/api/v1/sign-in', 'control', anyone, 'signIn'],
  ['POST', '/api/v1/sign-out', 'control', session, 'signOut'],
  ['GET', '/api/v1/session', 'control', session, 'session'],
  ['GET', '/api/v1/status', 'control', member, 'status'],
  ['GET', '/api/v1/projects', 'control', member, 'projects'],
  ['GET', `${project}/live`, 'control', member, 'live'],
  ['GET', `${project}/endpoints`, 'control', member, 'endpoints'],
  ['GET', `${project}/requests`, 'control', member, 'requests'],
  ['GET', `${project}/agents`, 'control', member, 'agents'],
  ['GET', `${project}/agents/{agent}`, 'control', member, 'agent'],
  ['GET', `${project}/agents/{agent}/events`, 'control', member, 'agentEvents'],
  ['POST', `${project}/agents/{agent}/suspend`, 'control', owner, 'suspendAgent'],
  ['POST', `${project}/agents/{agent}/resume`, 'control', owner, 'resumeAgent'],
  ['DELETE', `${project}/agents/{agent}`, 'control', owner, 'removeAgent'],
  ['GET', `${project}/join-keys`, 'control', owner, 'joinKeys'],
  ['POST', `${project}/join-keys`, 'control', owner, 'createJoinKey'],
  ['DELETE', `${project}/join-keys/{key}`, 'control', owner, 'revokeJoinKey'],
  ['GET', `${platform}/agents`, 'control', admin, 'platformAgents'],
  ['GET', `${platform}/agents/{agent}`, 'control', admin, 'platformAgent'],
  ['GET', `${platform}/agents/{agent}/events`, 'control', admin, 'platformAgentEvents'],
  ['POST', `${platform}/agents/{agent}/suspend`, 'control', admin, 'suspendPlatformAgent'],
  ['POST', `${platform}/agents/{agent}/resume`, 'control', admin, 'resumePlatformAgent'],
  ['DELETE', `${platform}/agents/{agent}`, 'control', admin, 'removePlatformAgent'],
  ['GET', `${platform}/join-keys`, 'control', admin, 'platformJoinKeys'],
  ['POST', `${platform}/join-keys`, 'control', admin, 'createPlatformJoinKey'],
  ['DELETE', `${platform}/join-keys/{key}`, 'control', admin, 'revokePlatformJoinKey'],

  ['GET', '/', 'files', anyone, 'root'],
  ['GET', '/ui', 'files', anyone, 'root'],
  ['GET', '/ui/{rest*}', 'files', anyone, 'dashboard'],
  ['GET', '/install.sh', 'files', anyone, 'installScript'],
  ['GET', '/install/xim.tgz', 'files', anyone, 'installPackage'],

  ['GET', '/healthz', 'health', anyone, 'alive'],
  ['GET', '/readyz', 'health', anyone, 'ready'],
  ['GET', '/metrics', 'health', loopbackOrKey, 'metrics'],
] as const satisfies readonly (readonly [Method, string, Plane, Access, string])[];

type Row = (typeof rows)[number];

/** Handler names of a plane: a plane that forgets one, or has one too many, does not compile. */
export type HandlerOf<P extends Plane> =
  | Extract<Row, readonly [unknown, unknown, P, ...unknown[]]>[4]
  | (P extends 'data' ? 'preflight' : never);

/** What each handler does, for readers of the API. */
const summaries: Readonly<Record<Row[4], string>> = {
  chat: 'Answer a conversation, streamed or whole',
  models: 'List the endpoints that the key may call, as models',
  model: 'Describe one of them',
  nonce: 'Take a nonce to sign: good for 60 s, once',
  enroll: 'Enrol an agent with a join key',
  refresh: 'Rotate an agent’s token and get a new access token',
  link: 'The agent link (WebSocket, subprotocol xim.link.1)',
  signIn: 'Start a session',
  signOut: 'End the session',
  session: 'Who is signed in',
  status: 'State of the server',
  projects: 'Projects of the caller',
  live: 'Snapshots of a project as server-sent events, at most one a second',
  endpoints: 'Endpoints of a project',
  requests: 'Last requests of a project',
  agents: 'Agents of a project',
  agent: 'One agent of a project',
  agentEvents: 'What happened to an agent of a project',
  suspendAgent: 'Stop an agent of a project until it is resumed',
  resumeAgent: 'Let an agent of a project work again',
  removeAgent: 'Remove an agent of a project for good',
  joinKeys: 'Join keys of a project',
  createJoinKey: 'Create a join key of a project; the key is shown once',
  revokeJoinKey: 'Revoke a join key of a project; agents that it enrolled stay',
  platformAgents: 'Shared agents',
  platformAgent: 'One shared agent',
  platformAgentEvents: 'What happened to a shared agent',
  suspendPlatformAgent: 'Stop a shared agent until it is resumed',
  resumePlatformAgent: 'Let a shared agent work again',
  removePlatformAgent: 'Remove a shared agent for good',
  platformJoinKeys: 'Join keys of the platform, which enrol shared agents',
  createPlatformJoinKey: 'Create a join key of the platform; the key is shown once',
  revokePlatformJoinKey: 'Revoke a join key of the platform; agents that it enrolled stay',
  root: 'Leads to the dashboard',
  dashboard: 'The dashboard',
  installScript: 'Script that makes a machine an agent',
  installPackage: 'The agent, packed',
  alive: 'The process answers',
  ready: 'It takes requests',
  metrics: 'Counters for Prometheus',
};

function route([method, path, plane, access, handler]: Row): Route {
  return { method, path, plane, access, handler, summary: summaries[handler] };
}

/** Files and health may be asked for with HEAD; data rows answer a browser's preflight. */
function companions(row: Route, all: readonly Route[]): Route[] {
  const first = all.find((other) => other.path === row.path) === row;
  if (row.plane === 'data' && first) {
    const preflight = { handler: 'preflight', summary: 'CORS preflight' };
    return [{ ...row, method: 'OPTIONS', access: anyone, ...preflight }];
  }
  const headed = (row.plane === 'files' || row.plane === 'health') && row.method === 'GET';
  return headed ? [{ ...row, method: 'HEAD' }] : [];
}

const base = rows.map(route);

/** The table. */
export const routes: readonly Route[] = base.flatMap((row) => [row, ...companions(row, base)]);
