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

/** Rows in short: method, path, plane, access, handler, summary. */
const rows = [
  ['POST', '/v1/chat/completions', 'data', inference, 'chat', 'Answer a conversation'],
  ['POST', '/{project}/{endpoint}/v1/chat/completions', 'data', inference, 'chat', 'Answer a conversation'],
  ['GET', '/v1/models', 'data', inference, 'models', 'List what may be called'],
  ['GET', '/{project}/v1/models', 'data', inference, 'models', 'List what may be called'],
  ['GET', '/{project}/{endpoint}/v1/models', 'data', inference, 'models', 'List this endpoint'],
  ['GET', '/v1/models/{model}', 'data', inference, 'model', 'Describe one'],
  ['GET', '/{project}/v1/models/{model}', 'data', inference, 'model', 'Describe one'],
  ['GET', '/{project}/{endpoint}/v1/models/{model}', 'data', inference, 'model', 'Describe one'],

  ['GET', '/v1/enroll/nonce', 'enrolment', anyone, 'nonce', 'A nonce to sign, 60 s, once'],
  ['POST', '/v1/enroll', 'enrolment', signedBody, 'enroll', 'Enrol an agent with a join key'],
  ['POST', '/v1/enroll/refresh', 'enrolment', signedBody, 'refresh', 'Rotate an agent’s token'],
  ['GET', '/v1/agents/link', 'link', agent, 'link', 'The agent link (WebSocket)'],

  ['POST', '/api/v1/sign-in', 'control', anyone, 'signIn', 'Start a session'],
  ['POST', '/api/v1/sign-out', 'control', session, 'signOut', 'End the session'],
  ['GET', '/api/v1/session', 'control', session, 'session', 'Who is signed in'],
  ['GET', '/api/v1/status', 'control', member, 'status', 'State of the server'],
  ['GET', '/api/v1/projects', 'control', member, 'projects', 'Projects of the caller'],
  ['GET', `${project}/live`, 'control', member, 'live', 'Snapshots as events'],
  ['GET', `${project}/endpoints`, 'control', member, 'endpoints', 'Endpoints of a project'],
  ['GET', `${project}/requests`, 'control', member, 'requests', 'Last requests'],
  ['GET', `${project}/agents`, 'control', member, 'agents', 'Agents of a project'],
  ['GET', `${project}/agents/{agent}`, 'control', member, 'agent', 'One agent'],
  ['GET', `${project}/agents/{agent}/events`, 'control', member, 'agentEvents', 'Its history'],
  ['POST', `${project}/agents/{agent}/suspend`, 'control', owner, 'suspendAgent', 'Stop it'],
  [
    'POST',
    `${project}/agents/{agent}/resume`,
    'control',
    owner,
    'resumeAgent',
    'Let it work again',
  ],
  ['DELETE', `${project}/agents/{agent}`, 'control', owner, 'removeAgent', 'Remove it for good'],
  ['GET', `${project}/join-keys`, 'control', owner, 'joinKeys', 'Join keys'],
  ['POST', `${project}/join-keys`, 'control', owner, 'createJoinKey', 'Create a join key'],
  ['DELETE', `${project}/join-keys/{key}`, 'control', owner, 'revokeJoinKey', 'Revoke one'],
  ['GET', `${platform}/agents`, 'control', admin, 'platformAgents', 'Shared agents'],
  ['GET', `${platform}/agents/{agent}`, 'control', admin, 'platformAgent', 'One shared agent'],
  [
    'GET',
    `${platform}/agents/{agent}/events`,
    'control',
    admin,
    'platformAgentEvents',
    'Its history',
  ],
  [
    'POST',
    `${platform}/agents/{agent}/suspend`,
    'control',
    admin,
    'suspendPlatformAgent',
    'Stop it',
  ],
  [
    'POST',
    `${platform}/agents/{agent}/resume`,
    'control',
    admin,
    'resumePlatformAgent',
    'Let it work again',
  ],
  ['DELETE', `${platform}/agents/{agent}`, 'control', admin, 'removePlatformAgent', 'Remove it'],
  ['GET', `${platform}/join-keys`, 'control', admin, 'platformJoinKeys', 'Platform join keys'],
  ['POST', `${platform}/join-keys`, 'control', admin, 'createPlatformJoinKey', 'Create one'],
  ['DELETE', `${platform}/join-keys/{key}`, 'control', admin, 'revokePlatformJoinKey', 'Revoke'],

  ['GET', '/', 'files', anyone, 'root', 'Leads to the dashboard'],
  ['GET', '/ui', 'files', anyone, 'root', 'Leads to the dashboard'],
  ['GET', '/ui/{rest*}', 'files', anyone, 'dashboard', 'The dashboard'],
  ['GET', '/install.sh', 'files', anyone, 'installScript', 'Script that installs an agent'],
  ['GET', '/install/xim.tgz', 'files', anyone, 'installPackage', 'The agent'],

  ['GET', '/healthz', 'health', anyone, 'live', 'The process is alive'],
  ['GET', '/readyz', 'health', anyone, 'ready', 'It takes requests'],
  ['GET', '/metrics', 'health', loopbackOrKey, 'metrics', 'Counters for Prometheus'],
] as const satisfies readonly (readonly [Method, string, Plane, Access, string, string])[];

type Row = (typeof rows)[number];

/** Handler names of a plane: a plane that forgets one, or has one too many, does not compile. */
export type HandlerOf<P extends Plane> =
  | Extract<Row, readonly [unknown, unknown, P, ...unknown[]]>[4]
  | (P extends 'data' ? 'preflight' : never);

function route([method, path, plane, access, handler, summary]: Row): Route {
  return { method, path, plane, access, handler, summary };
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
