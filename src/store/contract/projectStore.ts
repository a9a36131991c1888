/** Projects and their API keys. */
import type { ApiKeyEntry, ProjectEntry } from '../../domain/directory.ts';
import type { Refused } from './refused.ts';

/** An API key with what only its owner's list shows. */
export type ApiKeyRow = ApiKeyEntry & { name: string; createdAtMs: number; lastFour: string };

export interface ProjectStore {
  projects(): Promise<ProjectEntry[]>;
  apiKeysOf(projectId: string): Promise<ApiKeyRow[]>;
  revokeApiKey(input: {
    id: string;
    projectId: string;
  }): Promise<{ ok: true } | Refused<'unknown'>>;
}
