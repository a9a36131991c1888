/** The audit log. */
import { auditLog } from './auditLog.ts';

export const auditUseCases = {
  auditLog,
};
