/**
 * The directory for the data plane, from the store's `changes` only: a snapshot, then numbered
 * changes; hints make it quick, the reader's poll makes it true.
 *
 * The shapes are the ones of the router's ports. They are written out here because the control
 * plane does not know the router; `main/` connects the two, and a difference does not compile.
 */
import type {
  AgentEntry,
  ApiKeyEntry,
  BudgetEntry,
  EndpointEntry,
  ModelEntry,
  ProjectEntry,
  RegionMapEntry,
} from '../../domain/directory.ts';
import type { ChangesOutcome } from '../../store/contract/directoryStore.ts';
import { readDirectory } from '../../store/readDirectory.ts';
import type { Store } from '../../store/store.ts';
import type { ServerSecrets } from '../secrets.ts';

export interface DirectorySnapshot {
  /** The last change that the snapshot contains. */
  revision: number;
  projects: ProjectEntry[];
  apiKeys: ApiKeyEntry[];
  endpoints: EndpointEntry[];
  models: ModelEntry[];
  agents: AgentEntry[];
  budgets: BudgetEntry[];
  regionMap: RegionMapEntry;
  tokenKeys: TokenKey[];
}

interface TokenKey {
  keyId: string;
  x: string;
}

export interface DirectoryFeed {
  snapshot(): Promise<DirectorySnapshot>;
  /** Public keys that access tokens are checked with; they are in no change. */
  tokenKeys(): Promise<TokenKey[]>;
  /** Changes after `revision`, oldest first; `snapshot_needed` when they are no longer kept. */
  changesSince(revision: number, limit: number): Promise<ChangesOutcome>;
  /** Calls `hint` soon after a change was committed. Returns the unsubscriber. */
  onHint(hint: () => void): () => void;
}

export function createDirectoryFeed(options: {
  store: Pick<Store, 'directoryHead' | 'directoryPage' | 'changesSince' | 'onChange'>;
  secrets: Pick<ServerSecrets, 'verificationKeys'>;
}): DirectoryFeed {
  const { store, secrets } = options;
  const tokenKeys = async (): Promise<TokenKey[]> => [...(await secrets.verificationKeys())];
  return {
    snapshot: async () => ({ ...(await readDirectory(store)), tokenKeys: await tokenKeys() }),
    tokenKeys,
    changesSince: (revision, limit) => store.changesSince({ revision, limit }),
    onHint: (hint) => store.onChange(hint),
  };
}
