/** The command line and an agent of the project as processes, against a server that runs. */
import path from 'node:path';
import type { CreatedJoinKeyAnswer } from '../../api/control/joinKeys.ts';
import { repository, startProcess } from './processes.ts';
import type { RunningProcess } from './processes.ts';
import type { ServerProcess } from './serverProcess.ts';

/** Runs `bin/xim` against a server and resolves with its output; rejects when it fails. */
export async function runXim(
  server: ServerProcess,
  words: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const running = startXim(server, words, env);
  const code = await running.exited;
  if (code !== 0) throw new Error(`xim ${words.join(' ')}: ${code}\n${running.err()}`);
  return running.out();
}

/** The same, while it runs. */
export function startXim(
  server: ServerProcess,
  words: readonly string[],
  env: Record<string, string> = {},
): RunningProcess {
  const args = [path.join(repository, 'bin', 'xim'), ...words, '--data-dir', server.dataDir];
  return startProcess(process.execPath, args, { env });
}

/** A join key of the server's project, with its lines to paste. */
export async function createJoinKey(
  server: ServerProcess,
  flags: readonly string[] = [],
): Promise<CreatedJoinKeyAnswer> {
  const out = await runXim(server, ['join-keys', 'create', '-o', 'json', ...flags]);
  return JSON.parse(out) as CreatedJoinKeyAnswer;
}

/** Joins an agent that attaches an engine, or runs the embedded one; resolves when it serves. */
export async function joinAgent(
  server: ServerProcess,
  options: {
    stateDir: string;
    engineUrl?: string;
    flags?: readonly string[];
    /** Its join key; by default one of the server's project. */
    key?: string;
  },
): Promise<RunningProcess> {
  const key = options.key ?? (await createJoinKey(server)).key;
  const { server: url, pin } = server.credentials();
  const entry = path.join(repository, 'src', 'main', 'agent.ts');
  const where = ['--server', url, ...(pin === null ? [] : ['--pin', pin])];
  const { stateDir, engineUrl } = options;
  const attached = engineUrl === undefined ? [] : ['--engine-url', engineUrl];
  const engine = ['--state-dir', stateDir, ...attached];
  const args = [entry, ...where, ...engine, ...(options.flags ?? [])];
  const agent = startProcess(process.execPath, args, { env: { XIM_JOIN_KEY: key } });
  await agent.seen(/ is ready$/m);
  return agent;
}

/** A call to the control API as the admin; gives its answer, throws where it is refused. */
export type AdminCall = (
  method: 'GET' | 'POST',
  where: string,
  body?: object,
) => Promise<Record<string, unknown>>;

/** Signs the server's admin in for the first time. */
export async function signInAdmin(server: ServerProcess): Promise<AdminCall> {
  const { email, password } = server.ready.admin;
  const { server: origin } = server.credentials();
  let headers: Record<string, string> = { origin, 'content-type': 'application/json' };
  const send = async (method: string, where: string, body?: object): Promise<Response> => {
    const sent = body === undefined ? null : JSON.stringify(body);
    const response = await fetch(`${origin}/api/v1/${where}`, { method, headers, body: sent });
    if (!response.ok) throw new Error(`${where}: ${response.status} ${await response.text()}`);
    return response;
  };
  const signedIn = await send('POST', 'sign-in', { email, password });
  headers = { ...headers, cookie: signedIn.headers.getSetCookie()[0]?.split(';')[0] ?? '' };
  const change = { old_password: password, new_password: 'another, of my own' };
  await send('POST', 'session/password', change);
  return async (method, where, body) =>
    (await (await send(method, where, body)).json()) as Record<string, unknown>;
}
