/**
 * An agent and a server as processes, of which one is killed with -9 at any message between them,
 * from the first nonce to the grant, and then again on the way back from a restart. Whatever was
 * lost, the agent is there in the end, is one agent, and has used its join key once.
 */
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { CuttingProxy } from '../links/cuttingProxy.ts';
import { startFakeEngine, type FakeEngine } from '../engines/fakeEngine.ts';
import { freePort } from '../processes/freePort.ts';
import { armKill, type KillMoment } from './killMoment.ts';
import { repository, startProcess, until, type RunningProcess } from '../processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
  type ServerProcess,
} from '../processes/serverProcess.ts';

export interface Kill {
  victim: 'agent' | 'server';
  /** `joining`: with a join key; `returning`: with its state alone. */
  way: 'joining' | 'returning';
  /** At which piece of their talk, from 1. */
  at: number;
  /** Whether that piece still reaches its receiver. */
  passedOn: boolean;
}

interface ListedAgent {
  name: string;
  state: string;
}

/** The name that the catalogue has for what the engine serves. */
const model = 'SmolLM2-135M-Instruct=fake-model';
const entry = path.join(repository, 'src', 'main', 'agent.ts');
const backMs = 60_000;

export class KilledJoining {
  private readonly base: Awaited<ReturnType<typeof temporaryDirectory>>;
  private readonly engine: FakeEngine;
  private readonly proxy: CuttingProxy;
  private readonly ports: { server: number; proxy: number };
  private server: ServerProcess;
  private cases = 0;

  static async open(): Promise<KilledJoining> {
    const base = await temporaryDirectory('kills');
    const engine = await startFakeEngine({ chunks: 1 });
    const server = await freePort();
    const proxy = new CuttingProxy(server);
    const ports = { server, proxy: await proxy.listen() };
    const started = await startServer(base.path, ports);
    return new KilledJoining({ base, engine, proxy, ports, server: started });
  }

  private constructor(parts: {
    base: Awaited<ReturnType<typeof temporaryDirectory>>;
    engine: FakeEngine;
    proxy: CuttingProxy;
    ports: { server: number; proxy: number };
    server: ServerProcess;
  }) {
    this.base = parts.base;
    this.engine = parts.engine;
    this.proxy = parts.proxy;
    this.ports = parts.ports;
    this.server = parts.server;
  }

  async close(): Promise<void> {
    await this.server.end('SIGKILL');
    this.proxy.close();
    await this.engine.close();
    await this.base.remove();
  }

  /**
   * Runs one case. `beyond`: the agent served before the piece came, so that later ones are no
   * part of joining. Rejects when the agent does not come back as it should.
   */
  async run(kill: Kill): Promise<'killed' | 'beyond'> {
    this.cases += 1;
    const name = `case-${this.cases}`;
    const joinKey = await this.newJoinKey();
    const who = { name, joinKey: joinKey.key };
    if (kill.way === 'returning') {
      const joined = this.startAgent(who);
      await this.serves(name, joined);
      await joined.end('SIGKILL');
    }
    const outcome = await this.runCut(kill, who);
    assert.equal(await this.usesOf(joinKey.id), 1, 'uses of the join key');
    return outcome;
  }

  private async runCut(
    kill: Kill,
    who: { name: string; joinKey: string },
  ): Promise<'killed' | 'beyond'> {
    const { promise: cut, resolve } = Promise.withResolvers<'killed'>();
    const { at, passedOn, victim } = kill;
    let agent: RunningProcess | undefined;
    const act = (): void => {
      (victim === 'agent' ? agent : this.server)?.child.kill('SIGKILL');
      resolve('killed');
    };
    this.proxy.arm({ at, passedOn, act });
    agent = this.startAgent(who);
    const done = agent.seen(/ is ready$/m, backMs).then(() => 'beyond' as const);
    const first = await Promise.race([cut, done.catch(() => cut)]);
    this.proxy.arm(undefined);
    if (first === 'killed') agent = await this.restart(victim, agent, who);
    await this.serves(who.name, agent);
    await agent.end('SIGKILL');
    return first;
  }

  /**
   * Kills one agent at each moment in turn, a new start after each, and leaves the last start
   * alone. Rejects when it does not end as one agent with the key pair that it had first, or when
   * what the killed ones were about to write is left.
   */
  async runInTurn(moments: readonly KillMoment[]): Promise<void> {
    this.cases += 1;
    const name = `case-${this.cases}`;
    const stateDir = path.join(this.base.path, name);
    mkdirSync(stateDir, { mode: 0o700 });
    const joinKey = await this.newJoinKey();
    const who = { name, joinKey: joinKey.key };
    let identity: string | undefined;
    const isTheSame = (): void => {
      const now = identityOf(stateDir);
      if (identity !== undefined) assert.equal(now, identity, `${name}: another key pair`);
      identity = now;
    };
    for (const moment of moments) {
      await this.startAndKill(moment, { ...who, stateDir });
      isTheSame();
    }
    const agent = this.startAgent(who);
    await agent.seen(/ is ready$/m, backMs);
    isTheSame();
    await this.serves(name, agent);
    assert.equal(await this.usesOf(joinKey.id), 1, 'uses of the join key');
    const kept = ['agent.json', 'agent.lock', 'engine.json'];
    assert.deepEqual(readdirSync(stateDir).toSorted(), kept);
    assert.equal(await agent.end('SIGTERM'), 0, agent.err());
  }

  /** Resolves when the process has gone; one that comes through before its moment is killed too. */
  private async startAndKill(
    moment: KillMoment,
    who: { name: string; joinKey: string; stateDir: string },
  ): Promise<void> {
    const agent = this.startAgent(who);
    const { promise: killed, resolve } = Promise.withResolvers<'killed'>();
    const { proxy } = this;
    const kill = (): void => {
      agent.child.kill('SIGKILL');
      resolve('killed');
    };
    const disarm = armKill(moment, { proxy, directory: who.stateDir, kill });
    try {
      const through = agent.seen(/ is ready$/m, backMs).then(() => 'ready' as const);
      const first = await Promise.race([killed, through.catch(() => killed)]);
      if (moment.kind === 'piece') assert.equal(first, 'killed', 'there is no such piece');
      agent.child.kill('SIGKILL');
      assert.equal(await agent.exited, 'SIGKILL', agent.err());
    } finally {
      disarm();
    }
  }

  private async restart(
    victim: Kill['victim'],
    agent: RunningProcess,
    who: { name: string; joinKey: string },
  ): Promise<RunningProcess> {
    if (victim === 'agent') {
      await agent.exited;
      return this.startAgent(who);
    }
    await this.server.exited;
    this.server = await startServer(this.base.path, this.ports);
    assert.equal(agent.child.exitCode, null, `the agent gave up: ${agent.err()}`);
    return agent;
  }

  private startAgent(who: { name: string; joinKey: string }): RunningProcess {
    const { name, joinKey: XIM_JOIN_KEY } = who;
    const server = ['--server', `http://127.0.0.1:${this.ports.proxy}`, '--name', name];
    const state = ['--state-dir', path.join(this.base.path, name)];
    const engine = ['--engine-url', this.engine.url, '--serve', model];
    const args = [entry, ...server, ...state, ...engine];
    return startProcess(process.execPath, args, { env: { XIM_JOIN_KEY } });
  }

  /** Resolves when exactly one agent of that name is there, active, and answers. */
  private async serves(name: string, agent: RunningProcess): Promise<void> {
    const isBack = async (): Promise<boolean> => {
      const { data } = await this.control<{ data: ListedAgent[] }>('agents');
      // A repeated enrolment that made a second one would call it otherwise.
      const same = data.filter((one) => one.name === name || one.name.startsWith(`${name}-`));
      assert.ok(same.length <= 1, `two agents: ${JSON.stringify(same)}`);
      return same[0]?.state === 'active' && (await this.answers());
    };
    await until(isBack, { what: `${name} to serve`, timeoutMs: backMs }).catch((error: Error) => {
      throw new Error(`${error.message}\n${agent.err()}`, { cause: error });
    });
  }

  private async answers(): Promise<boolean> {
    const response = await fetch(`${this.origin}/default/own/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${this.server.ready.api_key}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ model: 'own', messages: [{ role: 'user', content: 'hello' }] }),
    });
    await response.text();
    return response.status === 200;
  }

  private async newJoinKey(): Promise<{ id: string; key: string }> {
    return this.control('join-keys', { max_uses: 1 });
  }

  private async usesOf(id: string): Promise<number | undefined> {
    const { data } = await this.control<{ data: { id: string; uses: number }[] }>('join-keys');
    return data.find((one) => one.id === id)?.uses;
  }

  private get origin(): string {
    return `http://127.0.0.1:${this.ports.server}`;
  }

  private async control<Answer>(what: string, body?: object): Promise<Answer> {
    const { management_key: key } = this.server.credentials();
    const response = await fetch(`${this.origin}/api/v1/projects/default/${what}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    assert.ok(response.ok, `${what}: ${response.status}`);
    return (await response.json()) as Answer;
  }
}

function startServer(
  directory: string,
  ports: { server: number; proxy: number },
): Promise<ServerProcess> {
  const url = `http://127.0.0.1:${ports.proxy}`;
  const args = ['--no-agent', '--port', String(ports.server), '--public-url', url];
  return startServerProcess({ dataDir: path.join(directory, 'data'), args });
}

/** The public key in a state file, which is whole or not there; undefined when it is not. */
function identityOf(stateDir: string): string | undefined {
  const file = path.join(stateDir, 'agent.json');
  if (!existsSync(file)) return undefined;
  const { privateKey } = JSON.parse(readFileSync(file, 'utf8')) as { privateKey: string };
  return createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }) as string;
}
