/** Of no topic: settings, audit, idempotency, numbered changes, migrations that have run. */
import type { Generated } from 'kysely';
import type { Flag } from './columnTypes.ts';

export type ChangeKind =
  | 'project'
  | 'api_key'
  | 'endpoint'
  | 'model'
  | 'agent'
  | 'budget'
  | 'region_map';

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

/** No foreign keys: a note outlives what it is about. */
interface AuditEvents {
  id: Generated<number>;
  at_ms: number;
  actor: string;
  action: string;
  target_kind: string;
  target_id: string;
  project_id: string | null;
  request_id: string | null;
  address: string | null;
  /** JSON of the changed fields. */
  changes: string;
}

interface IdempotencyKeys {
  caller: string;
  key: string;
  claim_id: string;
  request_sha256: string;
  claimed_at_ms: number;
  expires_at_ms: number;
  /** Whether something was committed under the claim. */
  changed: Flag;
  /** With `sealed_body`: the answer; null while there is none. */
  status: number | null;
  sealed_body: string | null;
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
  audit_events: AuditEvents;
  idempotency_keys: IdempotencyKeys;
  migrations: Migrations;
}
