/**
 * The whole directory at one revision, read in pages: no transaction lasts over all of it, and no
 * message out of a worker is large.
 *
 * A page is newer than the revision that was read first, or as old. The changes since then carry
 * each thing as it is now, so that with them everything is of the moment of the last change.
 */
import type { RegionMapEntry } from '../domain/directory.ts';
import type {
  Change,
  DirectoryEntries,
  DirectoryStore,
  EntryKind,
} from './contract/directoryStore.ts';
import { directoryPageEntries, directoryReadAttempts } from './limits.ts';
import { unpackPage } from './directory/directoryPage.ts';
import { StoreError } from './storeError.ts';

export interface DirectoryContents {
  /** The last change that it contains. */
  revision: number;
  projects: DirectoryEntries['project'][];
  apiKeys: DirectoryEntries['api_key'][];
  endpoints: DirectoryEntries['endpoint'][];
  models: DirectoryEntries['model'][];
  agents: DirectoryEntries['agent'][];
  budgets: DirectoryEntries['budget'][];
  regionMap: RegionMapEntry;
}

type Loaded = { [Name in EntryKind]: Map<string, DirectoryEntries[Name]> };

/** Rejects with a `StoreError` as the store's methods do, or when changes come faster than this. */
export async function readDirectory(store: DirectoryStore): Promise<DirectoryContents> {
  for (let attempt = 1; attempt <= directoryReadAttempts; attempt += 1) {
    const contents = await attemptToRead(store);
    if (contents !== undefined) return contents;
  }
  throw new StoreError('unavailable', 'the directory changes faster than it can be read');
}

/** Undefined: the changes since it began are not kept any more. */
async function attemptToRead(store: DirectoryStore): Promise<DirectoryContents | undefined> {
  const head = await store.directoryHead();
  const shared = new Map<string, string>();
  const load = <Name extends EntryKind>(kind: Name): Promise<Map<string, DirectoryEntries[Name]>> =>
    readKind(store, { kind, shared });
  const loaded: Loaded = {
    project: await load('project'),
    model: await load('model'),
    endpoint: await load('endpoint'),
    agent: await load('agent'),
    api_key: await load('api_key'),
    budget: await load('budget'),
  };
  let { revision, regionMap } = head;
  for (let isLast = false; !isLast;) {
    const outcome = await store.changesSince({ revision, limit: directoryPageEntries });
    if (!outcome.ok) return undefined;
    for (const change of outcome.changes) {
      revision = change.revision;
      if (change.kind !== 'region_map') put(loaded[change.kind], change);
      else if (change.entry !== null) regionMap = change.entry;
    }
    isLast = outcome.changes.length < directoryPageEntries;
  }
  return {
    revision,
    projects: [...loaded.project.values()],
    apiKeys: [...loaded.api_key.values()],
    endpoints: [...loaded.endpoint.values()],
    models: [...loaded.model.values()],
    agents: [...loaded.agent.values()],
    budgets: [...loaded.budget.values()],
    regionMap,
  };
}

async function readKind<Name extends EntryKind>(
  store: DirectoryStore,
  { kind, shared }: { kind: Name; shared: Map<string, string> },
): Promise<Map<string, DirectoryEntries[Name]>> {
  const entries = new Map<string, DirectoryEntries[Name]>();
  const ask = (after: string | null): ReturnType<DirectoryStore['directoryPage']> =>
    store.directoryPage({ kind, after, limit: directoryPageEntries });
  for (let page = await ask(null); ;) {
    const { rows, next } = page;
    // The database works at the next page while this one is opened.
    const asked = next === null ? undefined : ask(next);
    for (const entry of unpackPage(kind, { rows, shared })) entries.set(entry.id, entry);
    if (asked === undefined) return entries;
    page = await asked;
  }
}

function put(entries: Map<string, { id: string }>, { id, entry }: Change): void {
  if (entry === null) entries.delete(id);
  else entries.set(id, entry);
}
