/**
 * The audit log: one note for every change of a person's (C4), written by `methods.ts` in the
 * change's own transaction.
 */
import type { Page, Paged } from '../../lib/page.ts';
import type { IdempotencyClaim } from './idempotencyStore.ts';

/** Which fields changed. Secrets are left out. */
export type AuditChanges = Readonly<Record<string, { from: AuditValue; to: AuditValue }>>;

export type AuditValue =
  | string
  | number
  | boolean
  | null
  | readonly AuditValue[]
  | { readonly [member: string]: AuditValue };

/** What a store method of access `change` is given, as `audit` in its one input. */
export interface AuditNote {
  atMs: number;
  /** `user:<id>`, `key:<id>` or `system`. */
  actor: string;
  /** `<kind of the target>.<verb>`, e.g. `endpoint.create`. */
  action: string;
  targetKind: string;
  targetId: string;
  /** Null: the platform's. */
  projectId: string | null;
  /** Null: not by a call (the platform itself). */
  requestId: string | null;
  address: string | null;
  changes: AuditChanges;
  /** C5: the change is made under this claim, or not at all. Null: the call had no key. */
  claim: IdempotencyClaim | null;
}

export interface AuditRow extends Omit<AuditNote, 'claim'> {
  id: number;
}

/** As it is read. */
export interface NamedAuditRow extends AuditRow {
  /** A person's e-mail address, a key's name; null: there is none (any more). */
  actorName: string | null;
}

export interface AuditQuery {
  /** One project's notes; undefined: everybody's, the platform's included. */
  projectId: string | undefined;
  action?: string | undefined;
  actor?: string | undefined;
  targetKind?: string | undefined;
  targetId?: string | undefined;
  /** Epoch ms; `fromMs` included, `toMs` not. */
  fromMs?: number | undefined;
  toMs?: number | undefined;
}

export interface AuditStore {
  /** Newest first; a place is `[id]`. */
  auditNotes(input: AuditQuery & { page: Page }): Promise<Paged<NamedAuditRow>>;
  /** Forgets notes from before `beforeMs`, at most `limit` at once; says how many. */
  deleteOldAuditNotes(input: { beforeMs: number; limit: number }): Promise<number>;
}
