/**
 * One machine of the simulated fleet: the real agent from its token to its engine (supervisor,
 * link, slot book, serving, model keeper, trailers), one process after the other. What stands
 * around the agent is simulated: network, disk, engine, enrolment routes.
 */
import type { ControlClient, CallOutcome } from '../../agent/joining/controlClient.ts';
import type { Identity } from '../../agent/joining/identity.ts';
import type { AgentState, StateStore } from '../../agent/joining/stateFile.ts';
import type { ModelEnsurer } from '../../agent/engines/engine.ts';
import type { Dial } from '../../agent/linking/dial.ts';
import { ServingAgent } from '../../agent/servingAgent.ts';
import type { SupervisorEnd } from '../../agent/linking/supervisor.ts';
import type { AgentEntry } from '../../domain/directory.ts';
import type { Clock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom, type Random } from '../../lib/random.ts';
import type { Transport } from '../../protocol/link.ts';
import type { MemoryPair } from '../../protocol/memoryTransport.ts';
import { ProcessClock } from './processClock.ts';
import { SimulatedEngine, type EngineWatcher, type LoadTimes } from './simulatedEngine.ts';
import { WatchedTransport } from './watchedTransport.ts';

/** What the world gives a machine. */
export interface MachineWorld {
  clock: Clock;
  random: Random;
  loadTimes: LoadTimes;
  /** The server takes a connection; undefined: there is nobody. */
  connect(machine: SimulatedMachine): MemoryPair | undefined;
  /** A fresh access token, or what the enrolment routes say instead. */
  refresh(machine: SimulatedMachine): TokenAnswer | 'away';
  /** The agent sends these bytes over its link. */
  onSent(machine: SimulatedMachine, message: Buffer): void;
  watcher(machine: SimulatedMachine): EngineWatcher;
}

export type TokenAnswer =
  | { kind: 'token'; accessToken: string; lifeMs: number }
  | { kind: 'refused'; code: 'agent_suspended' | 'agent_dead' };

/** One start of the agent. */
interface Process {
  clock: ProcessClock;
  agent: ServingAgent;
  engine: SimulatedEngine;
  links: Set<AgentEnd>;
  cut: AbortController;
}

interface AgentEnd {
  transport: WatchedTransport;
  pair: MemoryPair;
}

const address = { base: 'https://server', host: 'server', pin: null };

export class SimulatedMachine {
  readonly entry: Partial<AgentEntry> & { id: string };
  readonly identity: Identity;
  readonly slots: number;
  /** How its last process ended by itself, if it did. */
  ended: SupervisorEnd | undefined;
  private readonly world: MachineWorld;
  private process: Process | undefined;
  private starts = 0;

  constructor(options: {
    entry: Partial<AgentEntry> & { id: string };
    identity: Identity;
    slots: number;
    world: MachineWorld;
  }) {
    this.entry = options.entry;
    this.identity = options.identity;
    this.slots = options.slots;
    this.world = options.world;
  }

  get id(): string {
    return this.entry.id;
  }

  get isUp(): boolean {
    return this.process !== undefined;
  }

  get engine(): SimulatedEngine | undefined {
    return this.process?.engine;
  }

  /** Its connections that stand, newest last. */
  get pairs(): MemoryPair[] {
    return [...(this.process?.links ?? [])].map(({ pair }) => pair);
  }

  /** Starts the agent; where one runs already, a second one beside it with the same identity. */
  start(): void {
    this.starts += 1;
    const { world } = this;
    const clock = new ProcessClock(world.clock);
    const random = seededRandom(Math.floor(world.random.float() * 2 ** 32));
    const { slots } = this;
    const watcher = world.watcher(this);
    const { loadTimes } = world;
    const engine = new SimulatedEngine({
      clock,
      random,
      slots,
      loadTimes,
      watcher,
      process: `p${this.starts}`,
    });
    const links = new Set<AgentEnd>();
    const cut = new AbortController();
    const agent = new ServingAgent({
      config: { stateDir: '/nowhere', agentVersion: '0.1.0', storageLimitBytes: null },
      createEngine: () => engine,
      models: simulatedModels(clock),
      clock,
      random,
      log: silentLogger,
      onEvent: () => {},
      machineHealth: () => ({ accelerators: [] }),
      memory: () => ({}),
      dial: this.dial(() => process),
    });
    const process: Process = { clock, agent, engine, links, cut };
    this.process = process;
    void this.run(process);
  }

  /** The process is killed: its system closes its connections. */
  kill(): void {
    const { process } = this;
    if (process === undefined) return;
    this.process = undefined;
    process.clock.kill();
    for (const { transport } of process.links) transport.die();
  }

  /** The owner ends the agent: what runs is finished. */
  drain(): void {
    this.process?.agent.drain();
  }

  /** The machine sleeps for a while and does not know it. */
  freeze(ms: number): void {
    const { process } = this;
    if (process === undefined) return;
    process.clock.freeze();
    for (const { pair } of process.links) pair.towardsAgent.hold();
    this.world.clock.setTimer(ms, () => {
      for (const { pair } of process.links) pair.towardsAgent.release();
      process.clock.thaw();
    });
  }

  /** The agent takes its connection for lost, dials again, and the server has both for a while. */
  doubleLink(): void {
    for (const { pair, transport } of this.process?.links ?? []) {
      pair.towardsAgent.swallow();
      pair.towardsRouter.swallow();
      transport.loseTouch();
    }
  }

  private async run(process: Process): Promise<void> {
    const { clock, agent, cut } = process;
    const store = memoryStore({ agentId: this.id, identity: this.identity });
    const { enrolment } = store.current() ?? {};
    if (!enrolment) throw new Error('not enrolled');
    const client = this.client(clock);
    const { identity } = this;
    const membership = { address, identity, enrolment, client, fresh: undefined };
    const end = await agent.serve(membership, store, cut.signal);
    if (this.process !== process) return;
    this.ended = end;
    this.process = undefined;
    clock.kill();
  }

  private dial(of: () => Process): Dial {
    return async ({ onOpen }) => {
      const process = of();
      await delay(process.clock, 1 + this.world.random.float() * 30);
      const pair = this.world.connect(this);
      if (pair === undefined) return { kind: 'failed', permanent: false, message: 'nobody there' };
      const end: AgentEnd = {
        pair,
        transport: this.watch(pair.agent, () => process.links.delete(end)),
      };
      process.links.add(end);
      onOpen(end.transport);
      return { kind: 'open' };
    };
  }

  private watch(inner: Transport, onClosed: () => void): WatchedTransport {
    const onSent = (message: Buffer): void => this.world.onSent(this, message);
    return new WatchedTransport(inner, { onSent, onClosed });
  }

  /** The enrolment routes, as far as an agent with an enrolment calls them. */
  private client(clock: Clock): ControlClient {
    const call = async (path: string): Promise<CallOutcome<unknown>> => {
      await delay(clock, 2 + this.world.random.float() * 20);
      if (path.endsWith('/nonce')) return { kind: 'ok', answer: { nonce: 'n', expires_in: 60 } };
      const answer = this.world.refresh(this);
      if (answer === 'away') {
        return { kind: 'unavailable', permanent: false, message: 'nobody there' };
      }
      if (answer.kind === 'refused') {
        return { kind: 'refused', status: 403, code: answer.code, message: answer.code };
      }
      const { accessToken, lifeMs } = answer;
      const token = { access_token: accessToken, expires_in: lifeMs / 1000 };
      return { kind: 'ok', answer: { ...token, rotation_token: 'rotated' } };
    };
    // The schemas are those of the answers above.
    return {
      get: ({ path }) => call(path) as never,
      post: ({ path }) => call(path) as never,
      close: () => {},
    };
  }
}

function memoryStore(options: { agentId: string; identity: Identity }): StateStore {
  let state: AgentState = {
    version: 1,
    privateKey: '',
    server: { url: address.base, pin: null },
    enrolment: {
      agentId: options.agentId,
      workerId: 'wrk_1',
      name: 'machine',
      region: 'local',
      linkUrl: '/v1/agents/link',
      rotationToken: 'first',
      joinKeyHash: '',
    },
  };
  return {
    directory: '/nowhere',
    current: () => state,
    save: (next) => {
      state = next;
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}

/** A cache on whose disk every model lies already. */
function simulatedModels(clock: Clock): ModelEnsurer {
  return {
    ensure: async (desired) => {
      await delay(clock, 20);
      return { kind: 'ready', path: `/models/${desired.modelId}`, sha256: '0'.repeat(64) };
    },
    setStorageLimit: () => {},
    setInUse: () => {},
    cached: () => [],
    disk: () => ({ freeBytes: 1e9, totalBytes: 2e9 }),
    storage: () => undefined,
    onStorageChange: undefined,
  };
}

function delay(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(ms, () => resolve());
  });
}
