/**
 * The stage of a chaos run: a server process and agent processes, each before an engine that
 * repeats what it is told and continues what another began. Engines are HTTP servers of this
 * process, so that a scenario can break them at the moment that it means.
 */
import { cp, rm } from 'node:fs/promises';
import { lockName } from '../../agent/joining/stateLock.ts';
import path from 'node:path';
import { startFakeEngine, type FakeBehaviour, type FakeEngine } from '../engines/fakeEngine.ts';
import { freePort } from '../processes/freePort.ts';
import { createJoinKey, joinAgent } from '../processes/agentProcess.ts';
import { repository, startProcess, until, type RunningProcess } from '../processes/processes.ts';
import {
  startServerProcess,
  temporaryDirectory,
  type ServerProcess,
} from '../processes/serverProcess.ts';
import type { ChaosTarget } from './chaosStream.ts';

export interface ChaosMachine {
  name: string;
  stateDir: string;
  engine: FakeEngine;
  /** Undefined while it is down. */
  agent: RunningProcess | undefined;
}

/** Between two pieces of an answer. */
export const pieceMs = 20;
const slots = 64;
/** When a stream is moved away from an engine that says nothing. */
export const limitMs = 1500;
const serving = ['--serve', 'SmolLM2-135M-Instruct=fake-model', '--slots', String(slots)];
const kinds = ['vllm', 'llama', 'vllm'] as const;

export class ChaosStage {
  readonly machines: ChaosMachine[] = [];
  private readonly base: Awaited<ReturnType<typeof temporaryDirectory>>;
  private readonly port: number;
  private server: ServerProcess | undefined;
  private copies = 0;

  private constructor(base: Awaited<ReturnType<typeof temporaryDirectory>>, port: number) {
    this.base = base;
    this.port = port;
  }

  static async open(agents: number): Promise<ChaosStage> {
    const stage = new ChaosStage(await temporaryDirectory('chaos'), await freePort());
    try {
      await stage.startServer();
      for (let n = 0; n < agents; n += 1) await stage.join(n);
      return stage;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  get target(): ChaosTarget {
    const { base_url: url, api_key: key } = this.running.ready;
    const target = url.replace('/default/v1', '/own/v1');
    return { url: target, key: this.apiKey ?? key ?? '' };
  }

  /** The agents that stand, newest engine first where it matters to nobody. */
  get up(): ChaosMachine[] {
    return this.machines.filter(({ agent }) => agent !== undefined);
  }

  /** The machine on whose engine most runs. */
  busiest(): ChaosMachine {
    const [first] = this.up.toSorted(
      (one, other) => other.engine.stats().active - one.engine.stats().active,
    );
    if (first === undefined) throw new Error('no agent is up');
    return first;
  }

  active(): number {
    return this.machines.reduce((sum, { engine }) => sum + engine.stats().active, 0);
  }

  breakEngine({ engine }: ChaosMachine, behaviour: Partial<FakeBehaviour>): void {
    engine.set({ times: Infinity, after: -1, ...behaviour });
  }

  healEngines(): void {
    for (const { engine } of this.machines) {
      engine.set({ fault: 'none', firstByteMs: 0, tickMs: pieceMs, after: -1, times: Infinity });
    }
  }

  /** Kills an agent's process; its engine lives on. */
  async kill(machine: ChaosMachine): Promise<void> {
    const { agent } = machine;
    machine.agent = undefined;
    await agent?.end('SIGKILL');
  }

  /** Starts an agent that is down; resolves when it serves. */
  async start(machine: ChaosMachine): Promise<void> {
    machine.agent ??= await this.spawn(machine.stateDir, machine.engine);
  }

  /** A second process with the identity of an agent. The first one is fenced and ends. */
  async duplicate(machine: ChaosMachine): Promise<void> {
    this.copies += 1;
    const stateDir = `${machine.stateDir}-copy-${this.copies}`;
    await cp(machine.stateDir, stateDir, { recursive: true });
    // The lock that keeps two processes of one machine apart stays behind.
    await rm(path.join(stateDir, lockName), { recursive: true, force: true });
    const first = machine.agent;
    machine.agent = await this.spawn(stateDir, machine.engine);
    machine.stateDir = stateDir;
    await first?.exited;
  }

  async stopServer(signal: NodeJS.Signals): Promise<void> {
    await this.running.end(signal);
  }

  async startServer(): Promise<void> {
    const limit = ['--first-byte-limit', `${limitMs}ms`, '--stall-limit', `${limitMs}ms`];
    const args = ['--no-agent', '--port', String(this.port), ...limit];
    const dataDir = path.join(this.base.path, 'data');
    this.server = await startServerProcess({ dataDir, args });
    this.apiKey ??= this.server.ready.api_key;
  }

  /** Resolves when so many agents answer. */
  async untilServing(): Promise<void> {
    await until(() => this.answers(), { what: 'an answer', timeoutMs: 60_000 });
  }

  async close(): Promise<void> {
    for (const { agent, engine } of this.machines) {
      await agent?.end('SIGKILL');
      await engine.close();
    }
    await this.server?.end('SIGKILL');
    await this.base.remove();
  }

  /** A server that starts again does not say its key again. */
  private apiKey: string | null | undefined;

  get running(): ServerProcess {
    if (this.server === undefined) throw new Error('there is no server');
    return this.server;
  }

  private async answers(): Promise<boolean> {
    const { url, key } = this.target;
    const messages = [{ role: 'user', content: 'Repeat exactly: yes' }];
    const response = await fetch(`${url}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'any', messages }),
    }).catch(() => undefined);
    return response?.status === 200;
  }

  private async join(n: number): Promise<void> {
    const dialect = kinds[n % kinds.length] ?? 'vllm';
    const engine = await startFakeEngine({ continues: true, dialect, tickMs: pieceMs, slots });
    const name = `machine-${n}`;
    const stateDir = path.join(this.base.path, name);
    const { key } = await createJoinKey(this.running);
    const machine: ChaosMachine = { name, stateDir, engine, agent: undefined };
    this.machines.push(machine);
    const engineUrl = engine.url;
    machine.agent = await joinAgent(this.running, { stateDir, engineUrl, flags: serving, key });
    await until(() => engine.stats().probes >= 7, { what: `${name} to be probed` });
  }

  private async spawn(stateDir: string, engine: FakeEngine): Promise<RunningProcess> {
    const entry = path.join(repository, 'src', 'main', 'agent.ts');
    const probed = engine.stats().probes;
    const args = [entry, '--state-dir', stateDir, '--engine-url', engine.url, ...serving];
    const agent = startProcess(process.execPath, args);
    await agent.seen(/ is ready$/m);
    await until(() => engine.stats().probes >= probed + 7, { what: 'the engine to be probed' });
    return agent;
  }
}
