/** What the data plane is fed from: a snapshot, and the numbered changes after it. */
import type {
  AgentEntry,
  ApiKeyEntry,
  BudgetEntry,
  EndpointEntry,
  ModelEntry,
  ProjectEntry,
  RegionMapEntry,
} from '../../domain/directory.ts';
import type { Refused } from './refused.ts';

/** A change with what the thing is now; `entry: null` means that it is gone. */
export type Change =
  | { revision: number; kind: 'project'; id: string; entry: ProjectEntry | null }
  | { revision: number; kind: 'api_key'; id: string; entry: ApiKeyEntry | null }
  | { revision: number; kind: 'endpoint'; id: string; entry: EndpointEntry | null }
  | { revision: number; kind: 'model'; id: string; entry: ModelEntry | null }
  | { revision: number; kind: 'agent'; id: string; entry: AgentEntry | null }
  | { revision: number; kind: 'budget'; id: string; entry: BudgetEntry | null }
  | { revision: number; kind: 'region_map'; id: string; entry: RegionMapEntry | null };

export type ChangesOutcome =
  | { ok: true; changes: Change[] }
  /** The reader's revision is older than the oldest kept one, or is not of this database. */
  | Refused<'snapshot_needed'>;

/** What the data plane knows, by kind. */
export interface DirectoryEntries {
  project: ProjectEntry;
  model: ModelEntry;
  endpoint: EndpointEntry;
  agent: AgentEntry;
  api_key: ApiKeyEntry;
  budget: BudgetEntry;
}

export type EntryKind = keyof DirectoryEntries;

/**
 * Entries in the order of their ids, packed: there may be hundreds of thousands of them, which as
 * objects would take seconds on their way out of a worker. `readDirectory.ts` opens it.
 */
export interface PackedPage {
  /** JSON: a list of rows, each a list of the kind's columns. */
  rows: string;
  /** The last id, when more may follow. */
  next: string | null;
}

export interface DirectoryStore {
  directoryHead(): Promise<{ revision: number; regionMap: RegionMapEntry }>;
  /** Entries behind the id `after`; null: the first ones. */
  directoryPage(input: {
    kind: EntryKind;
    after: string | null;
    limit: number;
  }): Promise<PackedPage>;
  /** Changes after `revision` with the present entry (null = gone), oldest first. */
  changesSince(input: { revision: number; limit: number }): Promise<ChangesOutcome>;
}
