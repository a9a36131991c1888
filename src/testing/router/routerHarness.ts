/**
 * A real router for tests: a directory that the test changes, sinks that remember, a journal in
 * memory with faults, and fake agents over the in-memory transport or a real WebSocket.
 */
import { randomUUID } from 'node:crypto';
import type { HealthSample } from '../../domain/agents/agentHealth.ts';
import type { AgentEntry, EndpointEntry } from '../../domain/directory.ts';
import { systemClock, type Clock } from '../../lib/clock.ts';
import { newKeyPair, publicKeyText } from '../../lib/crypto/ed25519.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import type { Tracing } from '../../lib/tracing/span.ts';
import { signToken } from '../../lib/crypto/signedToken.ts';
import type { LinkLimits } from '../../protocol/limits.ts';
import { createMemoryPair, type MemoryPair } from '../../protocol/memoryTransport.ts';
import type { JournalFiles } from '../../router/journal/journalFiles.ts';
import type {
  BudgetLedger,
  ClientSink,
  DirectoryChange,
  DirectorySnapshot,
  TokenKey,
  InferenceRequest,
  RouterPorts,
  SubmitResult,
  Uptime,
  UsageRecord,
} from '../../router/ports.ts';
import type { MakeScheduler } from '../../router/requests/schedulerDriver.ts';
import { createRouter, type Router, type RouterConfig } from '../../router/router.ts';
import { StoreError } from '../../store/storeError.ts';
import { MemoryJournal } from './memoryJournal.ts';
import { MemoryReceipts } from './memoryReceipts.ts';
import {
  agentEntry,
  apiKeyEntry,
  endpointEntry,
  modelEntry,
  projectEntry,
} from './directoryEntries.ts';
import {
  FakeAgent,
  newIdentity,
  type AgentIdentity,
  type FakeAgentOptions,
} from '../links/fakeAgent.ts';

type Untold = DirectoryChange extends infer One
  ? One extends DirectoryChange
    ? Omit<One, 'revision'>
    : never
  : never;

const storeIsAway = (): Error => new StoreError('unavailable', 'the store is away');

/** Durable state in arrays. */
export class MemoryPorts implements RouterPorts {
  readonly changes: DirectoryChange[] = [];
  readonly hints = new Set<() => void>();
  readonly usageRecords: UsageRecord[] = [];
  readonly uptimes: Uptime[] = [];
  readonly events: { agentId: string; kind: string; detail: string }[] = [];
  readonly seenAgents: string[] = [];
  readonly healthSamples: HealthSample[] = [];
  /** Make the store refuse, or never answer. */
  storeAway = false;
  storeHangs = false;
  /** Requests whose records the store cannot take. */
  readonly unfit = new Set<string>();
  usageCalls = 0;
  reads = 0;
  snapshots = 0;
  private signer = newKeyPair();
  private signerId = 'key-1';
  private readonly base: DirectorySnapshot;

  constructor(base: Partial<DirectorySnapshot> = {}) {
    this.base = {
      revision: 0,
      projects: [projectEntry(), projectEntry({ id: 'proj_b', slug: 'b' })],
      apiKeys: [apiKeyEntry()],
      endpoints: [endpointEntry()],
      models: [modelEntry()],
      agents: [],
      budgets: [],
      regionMap: { id: 'near', groups: [] },
      tokenKeys: [{ keyId: 'key-1', x: publicKeyText(this.signer.publicKey) }],
      ...base,
    };
  }

  directory = {
    snapshot: (): Promise<DirectorySnapshot> => {
      this.snapshots += 1;
      return Promise.resolve(structuredClone(this.base));
    },
    tokenKeys: (): Promise<TokenKey[]> =>
      this.storeAway
        ? Promise.reject(storeIsAway())
        : Promise.resolve(structuredClone(this.base.tokenKeys)),
    changesSince: (
      revision: number,
      limit: number,
    ): Promise<{ ok: true; changes: DirectoryChange[] }> => {
      this.reads += 1;
      if (this.storeAway) return Promise.reject(storeIsAway());
      const changes = this.changes.filter((one) => one.revision > revision).slice(0, limit);
      return Promise.resolve({ ok: true, changes });
    },
    onHint: (hint: () => void): (() => void) => {
      this.hints.add(hint);
      return () => this.hints.delete(hint);
    },
  };

  usage = {
    record: (batch: readonly UsageRecord[]): Promise<void> => {
      this.usageCalls += 1;
      if (this.storeHangs) return new Promise(() => {});
      if (this.storeAway) return Promise.reject(storeIsAway());
      const unfit = batch.find((one) => this.unfit.has(one.requestId));
      if (unfit !== undefined) return Promise.reject(new TypeError(`unfit ${unfit.requestId}`));
      const known = new Set(this.usageRecords.map((one) => one.requestId));
      this.usageRecords.push(...batch.filter((one) => !known.has(one.requestId)));
      return Promise.resolve();
    },
    uptime: (batch: readonly Uptime[]): Promise<void> => {
      if (this.storeAway) return Promise.reject(storeIsAway());
      this.uptimes.push(...batch);
      return Promise.resolve();
    },
  };

  /** What the store says of budgets, by id; and what it was told of them. */
  readonly budgetSums = new Map<string, number>();
  readonly budgetMarks: { id: string; mark: number }[] = [];
  keyTokens: { id: string; tokens: number }[] = [];
  budgets: BudgetLedger = {
    spent: ({ projectId }) => {
      if (this.storeAway) return Promise.reject(storeIsAway());
      const entries = this.changes.flatMap((one) => (one.kind === 'budget' ? [one.entry] : []));
      const sums = [...this.base.budgets, ...entries].flatMap((entry) => {
        if (entry === null || (projectId ?? entry.projectId) !== entry.projectId) return [];
        return [{ id: entry.id, spentMicros: this.budgetSums.get(entry.id) ?? 0 }];
      });
      return Promise.resolve(sums);
    },
    keyTokens: () => Promise.resolve(this.keyTokens),
    reached: ({ entry, mark }) => {
      if (this.storeAway) return Promise.reject(storeIsAway());
      this.budgetMarks.push({ id: entry.id, mark });
      return Promise.resolve();
    },
  };

  presence = {
    seen: (batch: readonly { agentId: string }[]): Promise<void> => {
      this.seenAgents.push(...batch.map((one) => one.agentId));
      return Promise.resolve();
    },
    event: (event: { agentId: string; kind: string; detail: string }): Promise<void> => {
      this.events.push(event);
      return Promise.resolve();
    },
  };

  health = {
    record: (batch: readonly HealthSample[]): Promise<void> => {
      if (this.storeAway) return Promise.reject(storeIsAway());
      this.healthSamples.push(...batch);
      return Promise.resolve();
    },
  };

  /** Commits a change; `hint: false` leaves it to the poll. */
  commit(change: Untold, options: { hint?: boolean } = {}): void {
    this.changes.push({ ...change, revision: this.changes.length + 1 } as DirectoryChange);
    if (options.hint !== false) for (const hint of this.hints) hint();
  }

  /** Tokens are signed with another key from now on; nobody tells the router. */
  rotateTokenKey(): void {
    this.signer = newKeyPair();
    this.signerId = 'key-2';
    this.base.tokenKeys.unshift({ keyId: 'key-2', x: publicKeyText(this.signer.publicKey) });
  }

  token(claims: { agentId: string; nowMs: number; gen?: number; lifeMs?: number }): string {
    const { agentId, nowMs, gen = 1, lifeMs = 600_000 } = claims;
    return signToken({
      claims: { aud: 'link', sub: agentId, gen, exp: Math.floor((nowMs + lifeMs) / 1000) },
      keyId: this.signerId,
      privateKey: this.signer.privateKey,
    });
  }
}

/** A client that remembers what it got; `reading: false` is one that does not read. */
export class FakeClient implements ClientSink {
  onDrain: (() => void) | undefined;
  onClientClosed: (() => void) | undefined;
  status: number | undefined;
  headers: Record<string, string> = {};
  chunks: Buffer[] = [];
  ended = 0;
  destroyed = 0;
  reading = true;
  unreadBytes = 0;
  /** Called at each write, to look at the world in that moment. */
  onWrite: ((chunk: Buffer) => void) | undefined;

  head(status: number, headers: Record<string, string>): void {
    if (this.status !== undefined) throw new Error('second head');
    this.status = status;
    this.headers = headers;
  }

  write(chunk: Buffer): boolean {
    if (this.status === undefined) throw new Error('write before head');
    if (this.ended > 0) throw new Error('write after end');
    // What a real socket would copy: the chunk is a view into the link's message.
    this.chunks.push(Buffer.from(chunk));
    this.onWrite?.(chunk);
    if (this.reading) return true;
    this.unreadBytes += chunk.length;
    return false;
  }

  end(): void {
    this.ended += 1;
  }

  destroy(): void {
    this.destroyed += 1;
  }

  /** Reads what has gathered. */
  drain(): void {
    this.unreadBytes = 0;
    this.onDrain?.();
  }

  /** Hangs up. */
  hangUp(): void {
    this.onClientClosed?.();
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('utf8');
  }
}

/** A submitted request and its client. */
export interface Submission {
  client: FakeClient;
  result: Promise<SubmitResult>;
  requestId: string;
}

export interface LinkedAgent {
  agent: FakeAgent;
  pair: MemoryPair;
  identity: AgentIdentity;
}

type AgentOptions = Partial<Omit<FakeAgentOptions, 'transport'>> & { entry?: Partial<AgentEntry> };

export class RouterHarness {
  readonly ports: MemoryPorts;
  readonly files = new MemoryJournal();
  readonly receiptFiles = new MemoryReceipts();
  readonly clock: Clock;
  readonly router: Router;
  private requests = 0;

  constructor(
    options: {
      clock?: Clock;
      ports?: MemoryPorts;
      config?: Partial<RouterConfig>;
      files?: JournalFiles;
      seed?: number;
      tracing?: Pick<Tracing, 'record'>;
      makeScheduler?: MakeScheduler;
      linkLimits?: Partial<LinkLimits>;
    } = {},
  ) {
    this.clock = options.clock ?? systemClock;
    this.ports = options.ports ?? new MemoryPorts();
    this.router = createRouter({
      ports: this.ports,
      clock: this.clock,
      random: seededRandom(options.seed ?? 1),
      log: silentLogger,
      config: { routerId: 'router-1', dataDir: '/nowhere', ...options.config },
      journalFiles: options.files ?? this.files,
      receiptFiles: this.receiptFiles,
      makeScheduler: options.makeScheduler,
      linkLimits: options.linkLimits ?? {},
      ...(options.tracing === undefined ? {} : { tracing: options.tracing }),
    });
  }

  /** Enrols an agent: the directory knows it, nothing is linked. */
  enrol(entry: Partial<AgentEntry> = {}): AgentIdentity {
    const agentId = entry.id ?? randomUUID();
    const accessToken = this.ports.token({ agentId, nowMs: this.clock.now() });
    const identity = newIdentity({ agentId, accessToken });
    this.commitAgent(identity, entry);
    return identity;
  }

  /** Changes what the directory says of an agent. */
  commitAgent(identity: AgentIdentity, entry: Partial<AgentEntry>): void {
    const { agentId: id, publicKey } = identity;
    const whole = agentEntry({ ...entry, id, publicKey });
    this.ports.commit({ kind: 'agent', id, entry: whole });
  }

  /** Opens a link; the handshake goes on by itself. */
  link(options: AgentOptions = {}): LinkedAgent {
    const identity = options.identity ?? this.enrol(options.entry);
    const pair = createMemoryPair({ clock: this.clock });
    const agent = new FakeAgent({ clock: this.clock, ...options, identity, transport: pair.agent });
    this.router.acceptLink(pair.router, { address: '127.0.0.1' });
    return { agent, pair, identity };
  }

  /** A linked agent that grants `slots` (1 unless told). */
  async agent(options: AgentOptions = {}): Promise<LinkedAgent> {
    const { slots = 1 } = options;
    const linked = this.link({ ...options, slots });
    const { agentId } = linked.identity;
    await until(() => this.router.agent(agentId)?.slots === slots);
    return linked;
  }

  submit(
    over: Partial<InferenceRequest> = {},
    options: { client?: FakeClient; endpoint?: Partial<EndpointEntry> } = {},
  ): Submission {
    const { client = new FakeClient(), endpoint } = options;
    const { apiKey = apiKeyEntry() } = over;
    this.requests += 1;
    const request: InferenceRequest = {
      requestId: `req_${this.requests}`,
      project: projectEntry(),
      endpoint: endpointEntry(endpoint),
      model: modelEntry(),
      apiKey,
      apiKeySha256: apiKey.sha256,
      path: '/v1/chat/completions',
      body: Buffer.from('{"messages":[]}'),
      stream: true,
      includeUsage: false,
      resume: false,
      abilities: ['chat'],
      maxTokens: null,
      region: null,
      arrivedAtMs: this.clock.monotonic(),
      ...over,
    };
    const { requestId } = request;
    return { client, requestId, result: this.router.submit(request, client) };
  }
}

/** Real time passes in turns of the event loop; a condition that never comes fails the test. */
const mostTurns = 100_000;

export async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns += 1) {
    if (turns === mostTurns) throw new Error(`never became true: ${condition.toString()}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Lets what is under way happen: some turns of the event loop. */
export async function settle(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}
