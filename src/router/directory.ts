/**
 * The directory in memory: every durable thing that the data plane needs, found without waiting. It
 * begins with a snapshot and follows numbered changes: hints make it quick, a poll makes it true.
 *
 * Invariants
 * D1 Look-ups are synchronous and never touch the store (R4).
 * D2 Changes are applied in the order of their revision, each once; a gap leads to a new snapshot.
 * D3 When the store is away the last known state stays in force: nothing looks gone because of it,
 *    and whoever waits for a read is told that there was none.
 */
import type {
  AgentEntry,
  ApiKeyEntry,
  BudgetEntry,
  EndpointEntry,
  ModelEntry,
  ProjectEntry,
} from '../domain/directory.ts';
import { tierSlugs, type TierSlug } from '../domain/tiers/tiers.ts';
import { emptyRegionMap, type RegionMap } from '../domain/agents/regionMap.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { directoryBatch, directoryPollMs, tokenKeysReadEveryMs } from './limits.ts';
import type { DirectoryChange, DirectoryFeed, DirectorySnapshot, TokenKey } from './ports.ts';

/** What has changed, as far as somebody has to act on it. */
export type DirectoryEvent =
  | { kind: 'agent'; id: string; entry: AgentEntry | null }
  | { kind: 'api_key'; id: string; entry: ApiKeyEntry | null }
  | { kind: 'budget'; id: string; entry: BudgetEntry | null }
  | { kind: 'endpoint' | 'model' | 'project' | 'region_map'; id: string };

/** Of a read that somebody waits for. `failed`: the last known state may be behind. */
export type DirectoryRead = 'read' | 'failed';

export class Directory {
  private readonly feed: DirectoryFeed;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly listeners = new Set<(event: DirectoryEvent) => void>();
  private readonly projects = new Map<string, ProjectEntry>();
  private readonly projectsBySlug = new Map<string, ProjectEntry>();
  private readonly apiKeys = new Map<string, ApiKeyEntry>();
  private readonly apiKeysByHash = new Map<string, ApiKeyEntry>();
  private readonly endpoints = new Map<string, EndpointEntry>();
  private readonly endpointsByProject = new Map<string, Map<string, EndpointEntry>>();
  private readonly models = new Map<string, ModelEntry>();
  private readonly agentsById = new Map<string, AgentEntry>();
  private readonly budgets = new Map<string, BudgetEntry>();
  private near: RegionMap = emptyRegionMap;
  private tokenKeys: readonly TokenKey[] = [];
  private revision = -1;
  private isLoaded = false;
  /** The last read of the token keys, which may be under way. */
  private tokenKeysRead: { atMs: number; read: Promise<DirectoryRead> } | undefined;
  /** The read under way; a second wish while it runs is served by one more read after it. */
  private reading: Promise<DirectoryRead> | undefined;
  private again = false;
  private timer: Timer | undefined;
  private unsubscribe: (() => void) | undefined;
  private stopped = false;

  constructor(options: { feed: DirectoryFeed; clock: Clock; log: Logger }) {
    this.feed = options.feed;
    this.clock = options.clock;
    this.log = options.log;
  }

  /** Loads the snapshot and begins to follow. Rejects when the first snapshot cannot be had. */
  async start(): Promise<void> {
    this.unsubscribe = this.feed.onHint(() => this.hinted());
    await this.load();
    this.armPoll();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.unsubscribe?.();
  }

  /** Whether the first snapshot is in. */
  get ready(): boolean {
    return this.isLoaded;
  }

  /** Calls `listener` after each change was applied. Returns the unsubscriber. */
  onChange(listener: (event: DirectoryEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Reads what has changed until now. Resolves when it is applied; never rejects (D3). */
  refresh(): Promise<DirectoryRead> {
    if (this.reading === undefined) this.reading = this.readChanges();
    else this.again = true;
    return this.reading;
  }

  /**
   * Reads the token keys, which are in no change. Not too often: who asks soon after somebody else
   * is told what came of that read. Never rejects (D3).
   */
  reloadTokenKeys(): Promise<DirectoryRead> {
    const nowMs = this.clock.monotonic();
    const last = this.tokenKeysRead;
    if (last !== undefined && nowMs - last.atMs < tokenKeysReadEveryMs) return last.read;
    const read = this.readTokenKeys();
    this.tokenKeysRead = { atMs: nowMs, read };
    return read;
  }

  // Look-ups (D1)

  /** Of the present value or the one before it; whether it still opens is `apiKeyStanding`. */
  apiKeyByHash(sha256: string): ApiKeyEntry | undefined {
    return this.apiKeysByHash.get(sha256);
  }

  apiKey(id: string): ApiKeyEntry | undefined {
    return this.apiKeys.get(id);
  }

  /** By slug or by id. */
  project(slugOrId: string): ProjectEntry | undefined {
    return this.projects.get(slugOrId) ?? this.projectsBySlug.get(slugOrId);
  }

  /** How many projects shared agents may serve. */
  sharingProjects(): number {
    return [...this.projects.values()].filter(({ sharedAccess }) => sharedAccess).length;
  }

  /** By slug or by id, within a project. */
  endpoint(projectId: string, slugOrId: string): EndpointEntry | undefined {
    const bySlug = this.endpointsByProject.get(projectId)?.get(slugOrId);
    if (bySlug !== undefined) return bySlug;
    const byId = this.endpoints.get(slugOrId);
    return byId?.projectId === projectId ? byId : undefined;
  }

  endpointById(id: string): EndpointEntry | undefined {
    return this.endpoints.get(id);
  }

  endpointsOf(projectId: string): readonly EndpointEntry[] {
    return [...(this.endpointsByProject.get(projectId)?.values() ?? [])];
  }

  allEndpoints(): Iterable<EndpointEntry> {
    return this.endpoints.values();
  }

  model(id: string): ModelEntry | undefined {
    return this.models.get(id);
  }

  agent(id: string): AgentEntry | undefined {
    return this.agentsById.get(id);
  }

  agents(): Iterable<AgentEntry> {
    return this.agentsById.values();
  }

  /** Which regions are near one another, as the operator says. */
  get regionMap(): RegionMap {
    return this.near;
  }

  /** The public key that access tokens of this key id are checked with. */
  tokenKey(keyId: string): TokenKey | undefined {
    return this.tokenKeys.find((key) => key.keyId === keyId);
  }

  // Following

  private hinted(): void {
    if (!this.ready || this.stopped) return;
    // It never rejects (D3).
    void this.refresh();
  }

  private armPoll(): void {
    if (this.stopped) return;
    this.timer = this.clock.setTimer(directoryPollMs, () => {
      // It never rejects (D3); the next poll is set when this one has ended.
      void this.refresh().then(() => this.armPoll());
    });
  }

  private async readChanges(): Promise<DirectoryRead> {
    try {
      do {
        this.again = false;
        await this.readOnce();
      } while (this.again && !this.stopped);
      return this.again ? 'failed' : 'read';
    } catch (error) {
      this.log.warn({ err: error }, 'changes cannot be read; the last state stays in force');
      return 'failed';
    } finally {
      this.reading = undefined;
    }
  }

  private async readTokenKeys(): Promise<DirectoryRead> {
    try {
      this.tokenKeys = await this.feed.tokenKeys();
      return 'read';
    } catch (error) {
      this.log.warn({ err: error }, 'token keys cannot be read; the last ones stay in force');
      return 'failed';
    }
  }

  private async readOnce(): Promise<void> {
    for (;;) {
      const answer = await this.feed.changesSince(this.revision, directoryBatch);
      if (!answer.ok) {
        // Another database, or a reader from long ago: whatever the snapshot says is newer.
        this.revision = -1;
        return this.load();
      }
      for (const change of answer.changes) this.apply(change);
      if (answer.changes.length < directoryBatch) return;
    }
  }

  private async load(): Promise<void> {
    const snapshot = await this.feed.snapshot();
    // A change that was read while the snapshot was on its way is newer (D2).
    if (snapshot.revision < this.revision) return;
    this.tokenKeys = snapshot.tokenKeys;
    this.tokenKeysRead = { atMs: this.clock.monotonic(), read: Promise.resolve('read') };
    this.revision = snapshot.revision;
    this.takeSnapshot(snapshot);
    this.isLoaded = true;
  }

  private takeSnapshot(snapshot: DirectorySnapshot): void {
    const { revision } = snapshot;
    const sets = [
      { kind: 'project', known: this.projects, entries: snapshot.projects },
      { kind: 'model', known: this.models, entries: snapshot.models },
      { kind: 'endpoint', known: this.endpoints, entries: snapshot.endpoints },
      { kind: 'agent', known: this.agentsById, entries: snapshot.agents },
      { kind: 'api_key', known: this.apiKeys, entries: snapshot.apiKeys },
      { kind: 'budget', known: this.budgets, entries: snapshot.budgets },
    ] as const;
    for (const { kind, known, entries } of sets) {
      for (const id of goneFrom(known, entries)) this.put({ revision, kind, id, entry: null });
      for (const entry of entries) {
        this.put({ revision, kind, id: entry.id, entry } as DirectoryChange);
      }
    }
    const { regionMap: entry } = snapshot;
    this.put({ revision, kind: 'region_map', id: entry.id, entry });
  }

  private apply(change: DirectoryChange): void {
    if (change.revision <= this.revision) return;
    this.revision = change.revision;
    this.put(change);
  }

  private put(change: DirectoryChange): void {
    switch (change.kind) {
      case 'project':
        this.putProject(change.id, change.entry);
        return this.tell({ kind: 'project', id: change.id });
      case 'api_key':
        this.putApiKey(change.id, change.entry);
        return this.tell({ kind: 'api_key', id: change.id, entry: change.entry });
      case 'endpoint':
        this.putEndpoint(change.id, change.entry);
        return this.tell({ kind: 'endpoint', id: change.id });
      case 'model':
        putOrDelete(this.models, change);
        return this.tell({ kind: 'model', id: change.id });
      case 'agent':
        putOrDelete(this.agentsById, change);
        return this.tell({ kind: 'agent', id: change.id, entry: change.entry });
      case 'budget':
        putOrDelete(this.budgets, change);
        return this.tell({ kind: 'budget', id: change.id, entry: change.entry });
      case 'region_map':
        this.near = change.entry ?? emptyRegionMap;
        return this.tell({ kind: 'region_map', id: change.id });
    }
  }

  private tell(event: DirectoryEvent): void {
    for (const listener of this.listeners) listener(event);
  }

  private putProject(id: string, entry: ProjectEntry | null): void {
    const old = this.projects.get(id);
    if (old !== undefined) this.projectsBySlug.delete(old.slug);
    putOrDelete(this.projects, { id, entry });
    if (entry !== null) this.projectsBySlug.set(entry.slug, entry);
  }

  private putApiKey(id: string, entry: ApiKeyEntry | null): void {
    const old = this.apiKeys.get(id);
    for (const sha256 of hashesOf(old)) this.apiKeysByHash.delete(sha256);
    putOrDelete(this.apiKeys, { id, entry });
    if (entry === null) return;
    for (const sha256 of hashesOf(entry)) this.apiKeysByHash.set(sha256, entry);
  }

  private putEndpoint(id: string, entry: EndpointEntry | null): void {
    const old = this.endpoints.get(id);
    if (old !== undefined) {
      const ofProject = this.endpointsByProject.get(old.projectId);
      ofProject?.delete(old.slug);
      if (ofProject?.size === 0) this.endpointsByProject.delete(old.projectId);
    }
    if (entry === null) return void this.endpoints.delete(id);
    const known = withOwnWords(entry);
    this.endpoints.set(id, known);
    const ofProject = this.endpointsByProject.get(entry.projectId) ?? new Map();
    ofProject.set(entry.slug, known);
    this.endpointsByProject.set(entry.projectId, ofProject);
  }
}

/**
 * The tiers as the table writes them. The store's strings are equal to these and are others: who
 * looks a property up by one makes V8 compile the function anew again and again (docs/internals,
 * performance).
 */
function withOwnWords(entry: EndpointEntry): EndpointEntry {
  const word = (tier: TierSlug): TierSlug => tierSlugs.find((one) => one === tier) ?? tier;
  const { fallback } = entry;
  const tier = fallback.tier === null ? null : word(fallback.tier);
  return { ...entry, tier: word(entry.tier), fallback: { ...fallback, tier } };
}

/** Of every value that the key has now: during a rotation's grace there are two. */
function hashesOf(entry: ApiKeyEntry | undefined): string[] {
  if (entry === undefined) return [];
  return entry.previous === null ? [entry.sha256] : [entry.sha256, entry.previous.sha256];
}

/** Ids that are known and are not among the entries. */
function goneFrom(
  known: ReadonlyMap<string, unknown>,
  entries: readonly { id: string }[],
): string[] {
  if (known.size === 0) return [];
  const present = new Set(entries.map((entry) => entry.id));
  return [...known.keys()].filter((id) => !present.has(id));
}

function putOrDelete<Entry>(
  entries: Map<string, Entry>,
  change: { id: string; entry: Entry | null },
): void {
  if (change.entry === null) entries.delete(change.id);
  else entries.set(change.id, change.entry);
}
