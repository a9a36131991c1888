/** What the data plane is fed from: a snapshot, and the numbered changes after it. */
import type {
  AgentEntry,
  ApiKeyEntry,
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
  | { revision: number; kind: 'region_map'; id: string; entry: RegionMapEntry | null };

export type ChangesOutcome =
  | { ok: true; changes: Change[] }
  /** The reader's revision is older than the oldest kept one, or is not of this database. */
  | Refused<'snapshot_needed'>;

export interface DirectoryStore {
  directory(): Promise<{
    revision: number;
    projects: ProjectEntry[];
    apiKeys: ApiKeyEntry[];
    endpoints: EndpointEntry[];
    models: ModelEntry[];
    agents: AgentEntry[];
    regionMap: RegionMapEntry;
  }>;
  /** Changes after `revision` with the present entry (null = gone), oldest first. */
  changesSince(input: { revision: number; limit: number }): Promise<ChangesOutcome>;
}
