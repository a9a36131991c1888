/**
 * A server under load that is killed with -9 again and again, with its agent and its database: what
 * was acknowledged is there each time it is back.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { createJoinKey } from '../processes/agentProcess.ts';
import { startFakeEngine } from '../engines/fakeEngine.ts';
import type { FakeEngine } from '../engines/fakeEngine.ts';
import { until } from '../processes/processes.ts';
import { startServerProcess, temporaryDirectory } from '../processes/serverProcess.ts';
import type { ServerProcess } from '../processes/serverProcess.ts';
import { startAgent } from '../links/testAgent.ts';
import type { TestAgent } from '../links/testAgent.ts';
import { checkCrash } from './crashChecks.ts';
import { CrashLedger } from './crashLedger.ts';
import { LoadClient, startCrashLoad } from './crashLoad.ts';

/** When the server is killed, counted from the beginning of the load. */
export type CrashMoment =
  | { kind: 'time'; afterMs: number }
  /** Right behind the n-th commit, before anybody hears of it. */
  | { kind: 'commit'; number: number };

const preload = pathToFileURL(path.join(import.meta.dirname, 'killAfterCommit.ts')).href;
/** Commits come by themselves under load; a server that makes none is stuck. */
const commitsMs = 60_000;
const servingMs = 60_000;

export class CrashedServer {
  readonly ledger = new CrashLedger();
  private readonly base: Awaited<ReturnType<typeof temporaryDirectory>>;
  private readonly engine: FakeEngine;
  private readonly databaseUrl: string | undefined;
  private server: ServerProcess;
  private agent: TestAgent | undefined;

  static async open(databaseUrl?: string): Promise<CrashedServer> {
    const base = await temporaryDirectory('crash');
    const engine = await startFakeEngine({ slots: 16, models: ['SmolLM2-135M-Instruct'] });
    const server = await startServer({ directory: base.path, databaseUrl, port: '0' });
    const rig = new CrashedServer({ base, engine, databaseUrl, server });
    const { key } = await createJoinKey(server);
    await rig.startAgent(key);
    return rig;
  }

  private constructor(parts: {
    base: Awaited<ReturnType<typeof temporaryDirectory>>;
    engine: FakeEngine;
    databaseUrl: string | undefined;
    server: ServerProcess;
  }) {
    this.base = parts.base;
    this.engine = parts.engine;
    this.databaseUrl = parts.databaseUrl;
    this.server = parts.server;
  }

  async close(): Promise<void> {
    await this.agent?.stop();
    await this.server.end('SIGKILL');
    await this.engine.close();
    await this.base.remove();
  }

  /** The rest of one life: load, death at the moment; then the next one, and everything checked. */
  async crash(moment: CrashMoment): Promise<void> {
    const { server } = this;
    const load = startCrashLoad(server, this.ledger);
    await this.die(moment);
    await load.ended;
    await this.agent?.stop();
    const port = new URL(server.ready.base_url).port;
    const { databaseUrl } = this;
    this.server = await startServer({ directory: this.base.path, databaseUrl, port });
    await this.startAgent(null);
    await checkCrash(new LoadClient(this.server, this.ledger), this.ledger);
  }

  private async die(moment: CrashMoment): Promise<void> {
    const { child, exited } = this.server;
    if (moment.kind === 'commit') {
      writeFileSync(numberFile(this.base.path), String(moment.number));
      child.kill('SIGUSR2');
      await until(() => child.signalCode !== null, {
        what: 'the commit to die at',
        timeoutMs: commitsMs,
      });
    } else {
      await new Promise((resolve) => setTimeout(resolve, moment.afterMs));
      child.kill('SIGKILL');
    }
    await exited;
  }

  /** A new agent process in all but name: one that goes on would wait ever longer to come back. */
  private async startAgent(joinKey: string | null): Promise<void> {
    this.agent = startAgent(
      { after: () => undefined },
      {
        serverUrl: this.server.credentials().server,
        engineUrl: this.engine.url,
        stateDir: path.join(this.base.path, 'state'),
        slots: 16,
        joinKey,
      },
    );
    const client = new LoadClient(this.server, new CrashLedger());
    const serves = (): Promise<boolean> =>
      client.chat(0).then(
        () => true,
        () => false,
      );
    await until(serves, { what: 'the agent to serve', timeoutMs: servingMs });
  }
}

const numberFile = (directory: string): string => path.join(directory, 'commits');

function startServer(options: {
  directory: string;
  databaseUrl: string | undefined;
  port: string;
}): Promise<ServerProcess> {
  const { directory, databaseUrl, port } = options;
  const database = databaseUrl === undefined ? [] : ['--database-url', databaseUrl];
  return startServerProcess({
    dataDir: path.join(directory, 'data'),
    args: ['--no-agent', '--port', port, ...database],
    env: {
      NODE_OPTIONS: `--import ${preload}`,
      KILL_AFTER_COMMITS: numberFile(directory),
    },
  });
}
