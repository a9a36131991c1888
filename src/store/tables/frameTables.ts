/** What is of no topic: settings, the numbered changes, the migrations that have run. */

export type ChangeKind = 'project' | 'api_key' | 'endpoint' | 'model' | 'agent';

interface Settings {
  name: string;
  value: string;
}

interface Changes {
  revision: number;
  kind: ChangeKind;
  entity_id: string;
}

/** One row: the last revision that was given. Its row lock puts writers of `changes` in order. */
interface ChangeHead {
  id: 1;
  revision: number;
}

interface Migrations {
  version: number;
  name: string;
  applied_at: string;
}

export interface FrameTables {
  settings: Settings;
  changes: Changes;
  change_head: ChangeHead;
  migrations: Migrations;
}
