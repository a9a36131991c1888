/** The audit log of a project, and of all projects and the platform. */
import type { AuditNoteAnswer, auditContracts } from '../../api/control/audit.ts';
import type { Control } from '../../control/control.ts';
import type { AuditView } from '../../control/platform/auditLog.ts';
import { pageAnswer, type ControlHandler } from '../control/controlCall.ts';
import { isoTime } from '../control/isoTime.ts';
import { ofPlatform, ofProject, type OwnerOf } from '../control/ownerOf.ts';
import type { TopicHandlers } from '../control/topicHandlers.ts';

type Contracts = typeof auditContracts;

export function createAuditRoutes(options: {
  control: Pick<Control, 'auditLog'>;
}): TopicHandlers<Contracts> {
  const { control } = options;
  const list =
    (ownerOf: OwnerOf): ControlHandler<Contracts['audit']> =>
    async (call) => {
      const { caller, page, query } = call;
      const filter = {
        action: query.action,
        actor: query.actor,
        targetKind: query.target_kind,
        targetId: query.target_id,
        fromMs: query.from === undefined ? undefined : Date.parse(query.from),
        toMs: query.to === undefined ? undefined : Date.parse(query.to),
      };
      const outcome = await control.auditLog({ caller, owner: ownerOf(call), filter, page });
      if (!outcome.ok) return call.refuse(outcome);
      return call.json(pageAnswer(outcome.notes, noteAnswer));
    };
  return { audit: list(ofProject), platformAudit: list(ofPlatform) };
}

function noteAnswer(note: AuditView): AuditNoteAnswer {
  return {
    id: note.id,
    at: isoTime(note.atMs),
    actor: note.actor,
    actor_name: note.actorName,
    action: note.action,
    target_kind: note.targetKind,
    target_id: note.targetId,
    project_id: note.projectId,
    request_id: note.requestId,
    address: note.address,
    changes: wireNames(note.changes) as AuditNoteAnswer['changes'],
  };
}

/** Fields as the rest of the API names them: `maxUses` → `max_uses`, at every depth. */
function wireNames(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(wireNames);
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      wireNames(inner),
    ]),
  );
}
