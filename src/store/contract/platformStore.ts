/** The first start, and the settings of the platform. */
import type { EndpointEntry, ModelEntry } from '../../domain/directory.ts';
import type { ApiKeyRow } from './apiKeyStore.ts';
import type { JoinKeyRow } from './joinKeyStore.ts';
import type { UserRow } from './peopleStore.ts';
import type { ProjectRow } from './projectStore.ts';
import type { Refused } from './refused.ts';

/** First rows of a new platform, written in one transaction. */
export interface BootstrapRows {
  admin: UserRow;
  /** The admin becomes its owner. */
  project: ProjectRow;
  apiKeys: ApiKeyRow[];
  models: (Omit<ModelEntry, 'approvedForShared'> & { createdAtMs: number })[];
  endpoints: EndpointEntry[];
  joinKeys: JoinKeyRow[];
}

export interface PlatformStore {
  isBootstrapped(): Promise<boolean>;
  bootstrap(rows: BootstrapRows): Promise<{ ok: true } | Refused<'already_bootstrapped'>>;

  // settings: small named values of the platform (sealed secrets, key ids)
  setting(name: string): Promise<string | null>;
  /** Writes it only when absent; returns what is stored afterwards. */
  settingOrInsert(name: string, value: string): Promise<string>;
}
