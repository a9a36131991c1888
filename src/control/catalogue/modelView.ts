/** A model as a caller sees it. */
import { isOpenToShared } from '../../domain/agents/matching.ts';
import type { ModelRow } from '../../store/contract/catalogueStore.ts';

export interface ModelView extends Omit<ModelRow, 'source' | 'approvedForShared'> {
  /** Null: not the caller's to know. */
  source: string | null;
  openToShared: boolean;
}

/** `mayChange`: the caller is who wrote the source, or could have. */
export function modelView(row: ModelRow, { mayChange }: { mayChange: boolean }): ModelView {
  const { approvedForShared: _approved, ...rest } = row;
  const source = mayChange ? row.source : publicSource(row);
  return { ...rest, source, openToShared: isOpenToShared(row) };
}

/**
 * Addresses may carry a token in their query, and a file of the platform's is its operator's
 * affair.
 */
function publicSource({ source, projectId }: ModelRow): string | null {
  if (source.startsWith('hf:')) return source;
  if (projectId === null) return null;
  return source.replace(/\?.*$/s, '?…');
}
