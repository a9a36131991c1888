/**
 * A real PostgreSQL for tests: its own cluster in a temporary directory, reachable through a unix
 * socket in it and by no port. As root it runs as a plain user, because PostgreSQL refuses root.
 *
 * It ends with `stop`, and when the test process ends in any way: a watchdog waits for the end of a
 * pipe that this process holds, and a pipe ends with its process, kill -9 included.
 */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { systemBinary } from '../processes/systemBinary.ts';

const run = promisify(execFile);

export interface Postgres {
  kind: 'started';
  /** Connection string of a new, empty database. */
  createDatabase(): Promise<string>;
  /** Fast shutdown; open connections are cut. */
  stop(): Promise<void>;
}

/**
 * Starts one, or says why there is none on this machine. `durable`: each commit is on the disk, as
 * in operation; for what is timed.
 */
export async function startPostgres({ durable = false } = {}): Promise<
  Postgres | { kind: 'missing'; reason: string }
> {
  const binary = systemBinary({ names: ['postgres'], debianPackage: 'postgresql' });
  if (binary.kind === 'missing') return binary;
  const user = plainUser();
  if (user.kind === 'missing') return user;
  const directory = mkdtempSync(path.join(os.tmpdir(), 'xim-pg-'));
  if (user.identity !== undefined) {
    chownSync(directory, user.identity.uid, user.identity.gid);
  }
  const context: Context = {
    // `initdb` and the server's files lie beside the real program, not beside a link to it.
    programs: path.dirname(realpathSync(binary.path)),
    directory,
    identity: user.identity ?? {},
    durable,
  };
  try {
    await initialise(context);
    return await serve(context);
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

interface Context {
  programs: string;
  directory: string;
  identity: { uid: number; gid: number } | Record<never, never>;
  durable: boolean;
}

const superuser = 'xim';

async function initialise({ programs, directory, identity }: Context): Promise<void> {
  await run(
    path.join(programs, 'initdb'),
    [
      `--pgdata=${path.join(directory, 'data')}`,
      `--username=${superuser}`,
      '--auth=trust',
      '--encoding=UTF8',
      '--locale=C',
      '--no-sync',
      '--no-instructions',
    ],
    { cwd: directory, ...identity },
  );
}

async function serve({ programs, directory, identity, durable }: Context): Promise<Postgres> {
  const settings = {
    listen_addresses: '',
    unix_socket_directories: directory,
    max_connections: '80',
    shared_buffers: durable ? '128MB' : '32MB',
    // A test's machine does not lose power; what a crash of a process keeps, this keeps too.
    fsync: durable ? 'on' : 'off',
    full_page_writes: durable ? 'on' : 'off',
    lc_messages: 'C',
  };
  const server = spawn(
    path.join(programs, 'postgres'),
    [
      '-D',
      path.join(directory, 'data'),
      ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`),
    ],
    { cwd: directory, ...identity, detached: true, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const watchdog = startWatchdog({ server, directory });
  await ready(server);
  let databases = 0;
  return {
    kind: 'started',
    async createDatabase() {
      databases += 1;
      const name = `test_${databases}`;
      const client = new Client({ connectionString: connectionString(directory, 'postgres') });
      await client.connect();
      await client.query(`create database ${name}`);
      await client.end();
      return connectionString(directory, name);
    },
    async stop() {
      server.kill('SIGINT');
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
      watchdog.stdin?.end('stopped\n');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function connectionString(directory: string, database: string): string {
  return `postgres://${superuser}@${encodeURIComponent(directory)}/${database}`;
}

/** A line on the pipe means that all is well, its end without one that this process is gone. */
const watchdogScript = `
  if read -r line; then exit 0; fi
  kill -INT "$1" 2>/dev/null
  while kill -0 "$1" 2>/dev/null; do sleep 0.1; done
  rm -rf "$2"
`;

function startWatchdog(options: { server: ChildProcess; directory: string }): ChildProcess {
  return spawn(
    '/bin/sh',
    ['-c', watchdogScript, 'watchdog', String(options.server.pid), options.directory],
    { detached: true, stdio: ['pipe', 'ignore', 'ignore'] },
  );
}

/** Resolves when the server accepts connections; rejects with its own words when it ends first. */
async function ready(server: ChildProcess): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('exit', () => reject(new Error(`PostgreSQL did not start: ${said}`)));
    server.stderr?.on('data', (chunk: Buffer) => {
      // Goes on reading to the end, so that the server never waits for its log.
      if (said.length < 8_192) said += chunk.toString();
      if (said.includes('ready to accept connections')) resolve();
    });
  });
}

type User =
  | { kind: 'found'; identity: { uid: number; gid: number } | undefined }
  | { kind: 'missing'; reason: string };

/** Ourselves, unless we are root. */
function plainUser(): User {
  if (process.getuid?.() !== 0) return { kind: 'found', identity: undefined };
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(':') ?? [];
    if (uid !== undefined && gid !== undefined) {
      return { kind: 'found', identity: { uid: Number(uid), gid: Number(gid) } };
    }
  }
  return { kind: 'missing', reason: 'there is no plain user to run PostgreSQL as' };
}
