/**
 * Notes for the audit log. A use-case makes one and hands it to its store method, which commits it
 * together with the change (C4) and adds which fields changed, where it finds that out itself.
 */
import type { Clock } from '../lib/clock.ts';
import type { AuditChanges, AuditNote } from '../store/contract/auditStore.ts';
import { actorOf, type Caller } from './principal.ts';

/** A caller, or the platform itself. */
export type ChangedBy = Caller | 'system';

export interface AuditSubject {
  /** `<kind of the target>.<verb>`, e.g. `endpoint.create`. */
  action: `${string}.${string}`;
  /** The id of the thing that changes. */
  target: string;
  /** The project that the thing belongs to; null: the platform. */
  projectId: string | null;
  /** What is known before the transaction; secrets never. */
  changes?: AuditChanges;
}

export function auditOf(
  { clock }: { clock: Clock },
  by: ChangedBy,
  subject: AuditSubject,
): AuditNote {
  const { action, target, projectId, changes = {} } = subject;
  const [requestId, address, claim] =
    by === 'system' ? [null, null, null] : [by.requestId, by.address, by.claim];
  return {
    atMs: clock.now(),
    actor: changedBy(by),
    action,
    targetKind: action.slice(0, action.indexOf('.')),
    targetId: target,
    projectId,
    requestId,
    address,
    changes,
    claim,
  };
}

/** As it stands in records. */
export function changedBy(by: ChangedBy): string {
  return by === 'system' ? 'system' : actorOf(by.principal);
}
