/**
 * The stage of the storm: server, database and router, agents with real engines before them, and
 * between agents and server a network that loses connections.
 */
import http from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { OwnerRef } from '../../control/principal.ts';
import { tierTable } from '../../domain/tiers/tiers.ts';
import { silentLogger, type LogFields, type Logger } from '../../lib/log.ts';
import { startFakeEngine, type FakeBehaviour, type FakeEngine } from '../engines/fakeEngine.ts';
import { openPlatformHarness, type PlatformHarness } from '../http/httpHarness.ts';
import { startAgent, type TestAgent } from '../links/testAgent.ts';
import { UnreliableProxy } from '../links/unreliableProxy.ts';
import { until } from '../until.ts';
import type { StormTarget } from './stormClient.ts';
import type { StormRoute } from './stormPlan.ts';

const model = 'Test model';
const slotsOfAgent = 6;
/** By the route that they serve: own agents, and the shared ones of the two others. */
const fleet = { own: 3, shared: 2 } as const;
export const ownSlots: number = fleet.own * slotsOfAgent;
export const sharedSlots: number = fleet.shared * slotsOfAgent;
/** Short, so that engines which say nothing meet them. */
const timeouts = { requestTimeoutMs: 2_000, idleStreamTimeoutMs: 2_000 };
/** No limit but the bounds of the queue. */
const unlimited = { tokensPerMinute: null, requestsPerMinute: null };
const tiers = tierTable({
  self_hosted: { ...timeouts, concurrentPerProject: 96 },
  free: { ...timeouts, ...unlimited, concurrentPerProject: 12 },
});

/** What the server logged of a request that the router had. */
export interface EndedRequest {
  requestId: string;
  outcome: string;
  status: number;
  clientRequestId: string;
}

interface Machine {
  stateDir: string;
  joinKey: string;
  enginePlace: number;
  running: TestAgent;
}

export class StormStage {
  readonly harness: PlatformHarness;
  readonly proxy: UnreliableProxy;
  /** Ends of requests, as they were logged. */
  readonly ended: EndedRequest[];
  readonly connections = new http.Agent({ keepAlive: true });
  readonly targets: Record<StormRoute, StormTarget>;
  readonly projectIds: readonly string[];
  /** Those that serve, and those that were stopped. */
  private readonly engines: FakeEngine[];
  private readonly formerEngines: FakeEngine[] = [];
  private readonly machines: Machine[] = [];
  private readonly directory: string;
  private readonly serverUrl: string;

  static async open(): Promise<StormStage> {
    const ended: EndedRequest[] = [];
    // Agents come to the server through the proxy and nowhere else.
    const proxy: UnreliableProxy = new UnreliableProxy(() => harness.port);
    const publicUrl = `http://127.0.0.1:${await proxy.listen()}`;
    const harness = await openPlatformHarness({
      config: { publicUrl: () => publicUrl },
      limits: { perAddress: withoutBound },
      router: { tiers },
      log: logOfEnds(ended),
    });
    const engines = [
      await startFakeEngine({ models: [model], dialect: 'vllm' }),
      await startFakeEngine({ models: [model], dialect: 'llama', slots: 64 }),
    ];
    const directory = await mkdtemp(path.join(tmpdir(), 'xim-storm-'));
    const parts = { serverUrl: publicUrl, harness, proxy, ended, engines, directory };
    try {
      const stage = new StormStage({ ...parts, ...(await makeRoutes(harness)) });
      await stage.startFleet();
      return stage;
    } catch (error) {
      await closeAll(parts);
      throw error;
    }
  }

  private constructor(
    parts: StageParts & {
      ended: EndedRequest[];
      serverUrl: string;
      targets: Record<StormRoute, StormTarget>;
      projectIds: readonly string[];
    },
  ) {
    this.serverUrl = parts.serverUrl;
    this.harness = parts.harness;
    this.proxy = parts.proxy;
    this.ended = parts.ended;
    this.engines = parts.engines;
    this.directory = parts.directory;
    this.targets = parts.targets;
    this.projectIds = parts.projectIds;
  }

  // Disturbances

  /** Ends an agent's process as far as one process can, and starts it again. */
  async restartAgent(place: number): Promise<void> {
    const machine = this.machines[place % this.machines.length];
    if (machine === undefined) return;
    await machine.running.stop();
    machine.running = this.start(machine);
  }

  /** Ends an engine with everything that it does, and starts it again at the same address. */
  async restartEngine(place: number): Promise<void> {
    const at = place % this.engines.length;
    const engine = this.engines[at];
    if (engine === undefined) return;
    const { port } = new URL(engine.url);
    await engine.close();
    this.formerEngines.push(engine);
    const dialect = at === 0 ? 'vllm' : 'llama';
    this.engines[at] = await startFakeEngine({
      port: Number(port),
      models: [model],
      dialect,
      slots: 64,
    });
  }

  /** The next requests of an engine meet this, whatever was asked of it. */
  breakEngine(place: number, behaviour: Partial<FakeBehaviour>): void {
    this.engines[place % this.engines.length]?.set(behaviour);
  }

  /** Nothing is broken any more. Resolves when every agent is back with all of its slots. */
  async calm(): Promise<void> {
    for (const engine of this.engines) engine.set({ fault: 'none' });
    const whole = ownSlots + sharedSlots;
    await until(() => this.slots() === whole, { timeoutMs: 60_000, what: 'every agent’s slots' });
  }

  // What is to be seen

  /** Requests at the engines now. */
  activeAtEngines(): number {
    return this.sumOf(({ active }) => active);
  }

  /** Requests that engines ever saw. */
  startedAtEngines(): number {
    return this.sumOf(({ started }) => started);
  }

  private sumOf(count: (stats: ReturnType<FakeEngine['stats']>) => number): number {
    const all = [...this.engines, ...this.formerEngines];
    return all.reduce((sum, engine) => sum + count(engine.stats()), 0);
  }

  private slots(): number {
    return this.harness.router.agents().reduce((sum, { slots }) => sum + slots, 0);
  }

  /** Ends the fleet; server and router go on. */
  async endFleet(): Promise<void> {
    this.connections.destroy();
    for (const machine of this.machines) await machine.running.stop();
  }

  async close(): Promise<void> {
    await this.endFleet();
    const { harness, proxy, engines, directory } = this;
    await closeAll({ harness, proxy, engines, directory });
  }

  private async startFleet(): Promise<void> {
    const project: OwnerRef = { kind: 'project', project: 'default' };
    for (let place = 0; place < fleet.own + fleet.shared; place += 1) {
      const isOwn = place < fleet.own;
      const owner: OwnerRef = isOwn ? project : { kind: 'platform' };
      // Whatever machine this is: it is to carry nothing else.
      const supportedTiers = [isOwn ? 'self_hosted' : 'free'];
      const joinKey = await this.joinKey(owner, { supportedTiers, name: `machine-${place}` });
      const stateDir = path.join(this.directory, `agent-${place}`);
      const machine = { stateDir, joinKey, enginePlace: place % this.engines.length };
      this.machines.push({ ...machine, running: this.start(machine) });
    }
    await this.calm();
  }

  private start({ stateDir, joinKey, enginePlace }: Omit<Machine, 'running'>): TestAgent {
    const engineUrl = this.engines[enginePlace]?.url ?? '';
    const { serverUrl } = this;
    // The stage ends them itself.
    const t = { after: () => {} };
    return startAgent(t, { serverUrl, engineUrl, stateDir, joinKey, slots: slotsOfAgent });
  }

  private async joinKey(
    owner: OwnerRef,
    wish: { supportedTiers: string[]; name: string },
  ): Promise<string> {
    const { control, admin: caller } = this.harness;
    const made = await control.createJoinKey({ caller, owner, wish });
    if (!made.ok) throw new Error(made.reason);
    return made.text;
  }
}

interface StageParts {
  harness: PlatformHarness;
  proxy: UnreliableProxy;
  engines: FakeEngine[];
  directory: string;
}

async function closeAll({ harness, proxy, engines, directory }: StageParts): Promise<void> {
  proxy.close();
  for (const engine of engines) await engine.close();
  await harness.close();
  await rm(directory, { recursive: true, force: true });
}

const much = { burst: 1_000_000, perSecond: 1_000_000 };
const withoutBound = {
  sign_in: much,
  nonce: much,
  enroll: much,
  refresh: much,
  link: much,
  change: much,
};

/** A log that keeps what is said of the end of requests. */
function logOfEnds(ended: EndedRequest[]): Logger {
  const log: Logger = {
    ...silentLogger,
    info: (fields: LogFields, message) => {
      if (message === 'request ended') ended.push(fields as unknown as EndedRequest);
    },
    child: () => log,
  };
  return log;
}

/** Endpoints and keys: two in the project `default`, one in a project of its own. */
async function makeRoutes(harness: PlatformHarness): Promise<{
  targets: Record<StormRoute, StormTarget>;
  projectIds: string[];
}> {
  const { control, admin: caller, credentials, port } = harness;
  const { id: projectId } = credentials.project;
  const modelId = harness.router.directory.endpoint(projectId, 'own')?.modelId ?? '';
  const guests = await control.createProject({ caller, name: 'guests', slug: 'guests' });
  if (!guests.ok) throw new Error(guests.reason);
  for (const project of ['default', 'guests']) {
    const wish = { slug: 'common', modelId, tier: 'free' };
    const made = await control.createEndpoint({ caller, project, wish });
    if (!made.ok) throw new Error(made.reason);
  }
  const scopes = ['inference'] as const;
  const asked = { caller, project: 'guests', name: 'storm', scopes: [...scopes], wish: {} };
  const key = await control.createApiKey(asked);
  if (!key.ok) throw new Error(key.reason);
  await until(() => harness.router.directory.endpoint(guests.project.id, 'common') !== undefined);
  const target = (project: string, endpoint: string): StormTarget => ({
    port,
    path: `/${project}/${endpoint}/v1/chat/completions`,
    key: project === 'default' ? credentials.apiKey : key.text,
  });
  return {
    targets: {
      own: target('default', 'own'),
      shared: target('default', 'common'),
      guest: target('guests', 'common'),
    },
    projectIds: [projectId, guests.project.id],
  };
}
