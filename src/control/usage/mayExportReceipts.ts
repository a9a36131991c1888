import type { ControlParts } from '../parts.ts';
import { authorizePlatform, type Caller, type Denied } from '../principal.ts';

/** Whether the caller may take the receipts of all projects, without names, for the simulator. */
export function mayExportReceipts(
  _parts: Pick<ControlParts, never>,
  { caller }: { caller: Caller },
): { ok: true } | Denied {
  return authorizePlatform(caller);
}
