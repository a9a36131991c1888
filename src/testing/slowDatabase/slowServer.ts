/**
 * A server whose database takes seconds for each write, with agents, requests and people at it.
 * Everything is timed; what must not happen is counted.
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
import { slowPostgres } from './slowPostgres.ts';

const preload = pathToFileURL(path.join(import.meta.dirname, 'slowWorkers.ts')).href;
const model = 'SmolLM2-135M-Instruct';
const pollMs = 500;
const patienceMs = 120_000;

interface ListedAgent {
  id: string;
  name: string;
  state: string;
  generation?: number;
}

/** What was seen while the database was slow. Times in ms. */
export interface SlowFigures {
  /** Looks at an agent that was not `active`, and links that went down. */
  notActive: number;
  unlinked: number;
  requests: number;
  failedRequests: number;
  slowestFirstByteMs: number;
  signInMs: number[];
  enrolMs: number[];
  /** A new start of an agent: refresh and link. */
  returnMs: number[];
}

export class SlowServer {
  readonly figures: SlowFigures = {
    notActive: 0,
    unlinked: 0,
    requests: 0,
    failedRequests: 0,
    slowestFirstByteMs: 0,
    signInMs: [],
    enrolMs: [],
    returnMs: [],
  };
  private readonly base: Awaited<ReturnType<typeof temporaryDirectory>>;
  private readonly engine: FakeEngine;
  private readonly server: ServerProcess;
  private readonly databaseUrl: string | undefined;
  private readonly agents = new Map<string, TestAgent>();
  private readonly stopped = new AbortController();
  private watching: Promise<unknown> = Promise.resolve();

  /** With so many agents that are to be left alone. */
  static async open(options: {
    agents: number;
    databaseUrl?: string | undefined;
  }): Promise<SlowServer> {
    const { databaseUrl } = options;
    const base = await temporaryDirectory('slow');
    const engine = await startFakeEngine({ slots: 8, models: [model], chunks: 3 });
    const database = databaseUrl === undefined ? [] : ['--database-url', databaseUrl];
    const server = await startServerProcess({
      dataDir: path.join(base.path, 'data'),
      args: ['--no-agent', ...database],
      env: { NODE_OPTIONS: `--import ${preload}`, SLOW_COMMITS: slowFile(base.path) },
    });
    const rig = new SlowServer({ base, engine, server, databaseUrl });
    for (let number = 0; number < options.agents; number += 1) {
      await rig.join(`steady-${number}`);
    }
    return rig;
  }

  private constructor(parts: {
    base: Awaited<ReturnType<typeof temporaryDirectory>>;
    engine: FakeEngine;
    server: ServerProcess;
    databaseUrl: string | undefined;
  }) {
    this.base = parts.base;
    this.engine = parts.engine;
    this.server = parts.server;
    this.databaseUrl = parts.databaseUrl;
  }

  async close(): Promise<void> {
    this.stopped.abort();
    await this.watching;
    for (const agent of this.agents.values()) await agent.stop();
    await this.server.end('SIGKILL');
    await this.engine.close();
    await this.base.remove();
  }

  /** From here on each write takes so long, and agents and requests are watched. */
  async slowDown(ms: number): Promise<void> {
    writeFileSync(slowFile(this.base.path), String(ms));
    if (this.databaseUrl !== undefined) await slowPostgres(this.databaseUrl, ms);
    const steady = [...this.agents.values()];
    const links = (): number =>
      steady.flatMap(({ events }) => events).filter(({ kind }) => kind === 'unlinked').length;
    const before = links();
    this.watching = Promise.all([this.watchAgents(), this.sendRequests(), this.sendRequests()]);
    this.stopped.signal.addEventListener('abort', () => {
      this.figures.unlinked = links() - before;
    });
  }

  /** Ends the watching, so that the figures are whole. */
  async finish(): Promise<SlowFigures> {
    this.stopped.abort();
    await this.watching;
    return this.figures;
  }

  async signIn(): Promise<void> {
    const { admin, server } = this.server.credentials();
    const { email, password } = { ...admin, ...this.server.ready.admin };
    const startedMs = performance.now();
    const response = await fetch(`${server}/api/v1/sign-in`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: server },
      body: JSON.stringify({ email, password }),
    });
    if (response.status !== 200) {
      throw new Error(`sign-in: ${response.status} ${await response.text()}`);
    }
    this.figures.signInMs.push(Math.round(performance.now() - startedMs));
  }

  /** A join key, and an agent that enrols with it and serves. */
  async enrol(name: string): Promise<void> {
    const startedMs = performance.now();
    await this.join(name);
    this.figures.enrolMs.push(Math.round(performance.now() - startedMs));
  }

  /** The agent's process again: its token is refreshed before it links. */
  async comeBack(name: string): Promise<void> {
    await this.agents.get(name)?.stop();
    const startedMs = performance.now();
    await this.begin(name, null);
    this.figures.returnMs.push(Math.round(performance.now() - startedMs));
  }

  private async join(name: string): Promise<void> {
    const { key } = await createJoinKey(this.server, ['--name', name]);
    await this.begin(name, key);
  }

  private async begin(name: string, joinKey: string | null): Promise<void> {
    const agent = startAgent(
      { after: () => undefined },
      {
        serverUrl: this.server.credentials().server,
        engineUrl: this.engine.url,
        stateDir: path.join(this.base.path, name),
        joinKey,
      },
    );
    this.agents.set(name, agent);
    const isActive = async (): Promise<boolean> =>
      (await this.listed()).some((each) => each.name === name && each.state === 'active');
    const isLinked = (): boolean => agent.events.some(({ kind }) => kind === 'linked');
    await until(async () => isLinked() && (await isActive()), {
      what: `${name} to be active`,
      timeoutMs: patienceMs,
    });
  }

  /** As `GET …/agents` shows them. */
  async listed(): Promise<ListedAgent[]> {
    const { server, management_key: key } = this.server.credentials();
    const response = await fetch(`${server}/api/v1/projects/default/agents?limit=500`, {
      headers: { authorization: `Bearer ${key}` },
    });
    return ((await response.json()) as { data: ListedAgent[] }).data;
  }

  private async watchAgents(): Promise<void> {
    while (!this.stopped.signal.aborted) {
      const steady = (await this.listed()).filter(({ name }) => name.startsWith('steady'));
      this.figures.notActive += steady.filter(({ state }) => state !== 'active').length;
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  /** One after another: each must be answered as if the database were quick. */
  private async sendRequests(): Promise<void> {
    const { base_url: url, api_key: key } = this.server.ready;
    while (!this.stopped.signal.aborted) {
      const startedMs = performance.now();
      const response = await fetch(`${url.replace('/default/v1', '/own/v1')}/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'own',
          stream: true,
          messages: [{ role: 'user', content: 'hello' }],
        }),
      });
      const firstByteMs = performance.now() - startedMs;
      const text = await response.text();
      this.figures.requests += 1;
      if (response.status !== 200 || !text.endsWith('data: [DONE]\n\n')) {
        this.figures.failedRequests += 1;
      }
      const { slowestFirstByteMs } = this.figures;
      this.figures.slowestFirstByteMs = Math.round(Math.max(slowestFirstByteMs, firstByteMs));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

const slowFile = (directory: string): string => path.join(directory, 'slow');
