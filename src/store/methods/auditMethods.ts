import type { AuditStore } from '../contract/auditStore.ts';
import { auditNotes, deleteOldAuditNotes } from '../projects/audit.ts';
import type { MethodsOf } from './method.ts';

export const auditMethods: MethodsOf<AuditStore> = {
  auditNotes: { access: 'read', run: auditNotes },
  deleteOldAuditNotes: { access: 'upkeep', run: deleteOldAuditNotes },
};
